package main

import (
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPagesWithoutScript holds that a browser without JavaScript shows what works there,
// a login, and nothing that does not.
func TestPagesWithoutScript(t *testing.T) {
	cleanEnvironment(t)
	greeting, stop, err := startDemo(t, "-addr", "127.0.0.1:0", "-store", "memory:")
	require.NoError(t, err)
	defer stop()
	origin := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(greeting)
	menu := []string{"/", "/notes", "/admin", "/tokens"}

	controls, links := shownOn(t, origin+"/tokens")
	require.Empty(t, controls)
	require.Equal(t, append(menu, "/"), links, "to the pages that need no script")

	controls, links = shownOn(t, origin+"/")
	require.Empty(t, controls, "whoever is signed out has nothing to send")
	require.Equal(t, append(menu, "/api/auth/v2/login?return_to=/"), links[:len(menu)+1])

	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	login, err := client.Get(origin + links[len(menu)])
	require.NoError(t, err)
	require.NoError(t, login.Body.Close())
	require.Equal(t, http.StatusFound, login.StatusCode)
	require.Contains(t, login.Header.Get("Location"), "redirect_uri="+strings.NewReplacer(":", "%3A", "/", "%2F").Replace(origin+"/api/auth/v2/callback"))
}

// TestOnlyTokensNeedAScript holds that the pages of people with a session have none.
func TestOnlyTokensNeedAScript(t *testing.T) {
	files, err := fs.Glob(pages, "pages/*.html")
	require.NoError(t, err)
	for _, file := range files {
		page, err := pages.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, file == "pages/tokens.html", strings.Contains(string(page), "<script"), file)
	}
}

// shownOn gives what a page shows without JavaScript: what one presses or fills in, and
// where its links lead.
func shownOn(t *testing.T, address string) (controls, links []string) {
	response, err := http.Get(address)
	require.NoError(t, err)
	defer response.Body.Close()
	for _, e := range elementsShown(t, response.Body) {
		switch name := e.Name.Local; name {
		case "button", "input", "output", "progress":
			controls = append(controls, name)
		case "a":
			links = append(links, attribute(e, "href"))
		}
	}
	return controls, links
}

// elementsShown reads a page as a browser without JavaScript does, and gives what
// of its body is not hidden.
func elementsShown(t *testing.T, page io.Reader) (shown []xml.StartElement) {
	decoder := xml.NewDecoder(page)
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return shown
		}
		require.NoError(t, err)
		e, starts := token.(xml.StartElement)
		if !starts {
			continue
		}
		if hidden := slices.ContainsFunc(e.Attr, func(a xml.Attr) bool { return a.Name.Local == "hidden" }); hidden {
			require.NoError(t, decoder.Skip())
			continue
		}
		shown = append(shown, e)
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// TestScriptDisablesNoButton holds that no button of the page loses the focus to
// the body, as one does that is disabled (WCAG 2.4.3).
func TestScriptDisablesNoButton(t *testing.T) {
	script, err := web.ReadFile("web/app.js")
	require.NoError(t, err)
	require.NotRegexp(t, `\.disabled\b|"disabled"`, string(script))
	page, err := pages.ReadFile("pages/tokens.html")
	require.NoError(t, err)
	require.NotRegexp(t, `<(button|input)[^>]* disabled`, string(page))
}

// TestMessagesAreAnnounced holds that what tells of an outcome is in the page from
// the start and never hidden: a screen reader is silent about text that appears
// together with its place.
func TestMessagesAreAnnounced(t *testing.T) {
	page, err := pages.ReadFile("pages/tokens.html")
	require.NoError(t, err)
	places := regexp.MustCompile(`<[^>]*(role="status"|<output)[^>]*>`).FindAllString(string(page), -1)
	require.Len(t, places, 2)
	for _, place := range places {
		require.NotContains(t, place, "hidden")
	}
	style, err := web.ReadFile("web/style.css")
	require.NoError(t, err)
	require.NotRegexp(t, `:empty[^}]*display: none`, strings.ReplaceAll(string(style), ".log:empty { display: none; }", ""))
	require.Regexp(t, `\.notice \{\s*position: sticky;`, string(style), "the notice must be in sight wherever the page is scrolled to")
}

// TestStatesShowInForcedColors holds that what a background tells is told by a
// colour of the system where those of the page are replaced.
func TestStatesShowInForcedColors(t *testing.T) {
	style, err := web.ReadFile("web/style.css")
	require.NoError(t, err)
	_, forced, found := strings.Cut(string(style), "@media (forced-colors: active) {")
	require.True(t, found)
	for _, state := range []string{`aria-pressed="true"`, `aria-disabled="true"`, `aria-busy="true"`, "progress", "-webkit-progress-value", "-moz-progress-bar"} {
		require.Contains(t, forced, state)
	}
}

// TestScriptForgetsWhatIsNotSoAnyMore holds that answers which came by other tokens, or
// before another choice, go with them, and that a logout is confirmed.
func TestScriptForgetsWhatIsNotSoAnyMore(t *testing.T) {
	script, err := web.ReadFile("web/app.js")
	require.NoError(t, err)
	for _, line := range []string{
		`async function show\([^)]*\) \{\n  clearAnswers\(\);`,
		`sent = choice;\n  clearAnswers\(\);`,
		`if \(!isCurrent\(tokens\) \|\| sent !== choice\) return;`,
		`=== "logout"\) notice\("You are signed out\."\)`,
	} {
		require.Regexp(t, line, string(script))
	}
}

// TestAddressesBreakBehindSlashes holds that whatever may show an address on a narrow
// page lets it break there, and not inside a number.
func TestAddressesBreakBehindSlashes(t *testing.T) {
	script, err := web.ReadFile("web/app.js")
	require.NoError(t, err)
	for _, shown := range []string{
		`$("notice").replaceChildren(...breakable(text))`,
		`element("dd", {}, ...breakable(text))`,
		`element("span", {}, ...breakable(message))`,
		`element("code", {}, ...breakable(`,
		`document.querySelectorAll("code")) code.replaceChildren(...breakable(code.textContent))`,
	} {
		require.Contains(t, string(script), shown)
	}
	style, err := web.ReadFile("web/style.css")
	require.NoError(t, err)
	require.NotRegexp(t, `word-break: break-all`, string(style), "it would break inside numbers")
}
