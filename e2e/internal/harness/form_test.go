package harness

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// page is an answer with a page of a provider.
func page(t *testing.T, text string) Answer {
	t.Helper()
	address, err := url.Parse("http://127.0.0.1/device/page?x=1")
	require.NoError(t, err)
	return Answer{URL: address, Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, Text: text}
}

func TestFormIsFilledInAsAPersonWould(t *testing.T) {
	form := findForm(page(t, `<form id="login" action="../login" method="post">
		<input type="hidden" name="session_code" value="7"><input name="username"><input type="password" name="password">
		<input type="checkbox" name="remember"><input type="checkbox" name="terms" checked><input type="text" name="user_code">
		<button type="button" name="script" value="x">No submit</button></form>
		<button form="login" name="decision" value="allowed">Yes</button><button form="login" name="abort" value="yes">No</button>`))
	require.True(t, form.password)
	require.Equal(t, http.MethodPost, form.method)
	require.Equal(t, "http://127.0.0.1/login", form.action.String())
	who := Person{Name: "alice", Password: "wonderland", Code: "ABCD"}
	filled := url.Values{
		"session_code": {"7"}, "username": {"alice"}, "password": {"wonderland"}, "terms": {"on"}, "user_code": {"ABCD"}, "decision": {"allowed"},
	}
	require.Equal(t, filled, form.values(who))
	who.Refuses = true
	filled.Del("decision")
	filled.Set("abort", "yes")
	require.Equal(t, filled, form.values(who))
}

func TestPageWithoutAFormHasNone(t *testing.T) {
	require.Nil(t, findForm(page(t, "<p>You are signed in.")))
	text := page(t, "<form></form>")
	text.Header.Set("Content-Type", "application/json")
	require.Nil(t, findForm(text))
}
