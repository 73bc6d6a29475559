package browser

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestACookieIsFoundByItsExactName(t *testing.T) {
	for header, want := range map[string]string{
		"":                   "",
		"s=1":                "1",
		"a=2; s=1; b=3":      "1",
		"a=2;s=1":            "1",
		"\ts=1 ":             "1",
		"S=1":                "",
		"xs=1":               "",
		"s":                  "",
		"s=":                 "",
		"s=a=b":              "a=b",
		"a=\"s=1\"; s=2":     "2",
		"__Host-s=1; ss=2":   "",
		"a=1, s=2":           "",
		"; ; s=1;":           "1",
		"s=\"quoted\"":       "\"quoted\"",
		"s =1":               "",
		"a=s; b=s=1; s=last": "last",
	} {
		value, err := Cookie([]string{header}, "s")
		require.NoError(t, err, header)
		require.Equal(t, want, value, header)
	}
	value, err := Cookie([]string{"a=1", "s=2"}, "s")
	require.NoError(t, err)
	require.Equal(t, "2", value)
}

func TestTwoCookiesOfOneNameAreNone(t *testing.T) {
	for _, header := range [][]string{{"s=1; s=2"}, {"s=1", "s=1"}, {"s=; s=1"}} {
		_, err := Cookie(header, "s")
		require.ErrorIs(t, err, ErrSeveral, header)
	}
}

func TestACookieIsFoundWithoutAllocating(t *testing.T) {
	header := []string{"a=1; b=2", "c=3; s=1"}
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = Cookie(header, "s") }))
}

func TestARequestThatAnotherOriginMayHaveMadeIsForeign(t *testing.T) {
	own := []string{"https://app.example.org", "https://spa.example.org"}
	for _, row := range []struct {
		what    string
		sender  Sender
		foreign bool
	}{
		{"a form of one's own", Sender{"POST", "https://app.example.org", "same-origin"}, false},
		{"a form of a page with no-referrer", Sender{"POST", "null", "same-origin"}, false},
		{"a form of a browser without Sec-Fetch-Site", Sender{"POST", "https://app.example.org", ""}, false},
		{"a form of a listed origin", Sender{"POST", "https://spa.example.org", "same-site"}, false},
		{"a page that the user reloads", Sender{"POST", "null", "none"}, false},
		{"a form of another site", Sender{"POST", "https://evil.example", "cross-site"}, true},
		{"a form of a sibling", Sender{"POST", "https://blog.example.org", "same-site"}, true},
		{"a form of a sandboxed frame", Sender{"POST", "null", "cross-site"}, true},
		{"a form by a browser that tells nothing", Sender{"POST", "", ""}, true},
		{"a form with a site and no origin", Sender{"POST", "", "same-site"}, true},
		{"another method", Sender{"DELETE", "", "cross-site"}, true},
		{"a method that nobody knows", Sender{"get", "", ""}, true},
		{"the origin with another scheme", Sender{"POST", "http://app.example.org", ""}, true},
		{"the origin with a port", Sender{"POST", "https://app.example.org:444", ""}, true},
		{"an origin that begins the same", Sender{"POST", "https://app.example.org.evil.example", ""}, true},
		{"a link from elsewhere", Sender{"GET", "", "cross-site"}, false},
		{"a link from a sibling", Sender{"GET", "", "same-site"}, false},
		{"a program", Sender{"GET", "", ""}, false},
		{"a websocket of one's own", Sender{"GET", "https://app.example.org", "same-origin"}, false},
		{"a websocket of one's own, to an old browser", Sender{"GET", "https://app.example.org", ""}, false},
		{"a websocket of a sibling", Sender{"GET", "https://blog.example.org", "same-site"}, true},
		{"a websocket of another site, in an old browser", Sender{"GET", "https://evil.example", ""}, true},
		{"a script of a sandboxed frame", Sender{"GET", "null", "cross-site"}, true},
	} {
		require.Equal(t, row.foreign, row.sender.Foreign(own), row.what)
	}
}

func TestALoginLeadsBackToAPathOfTheApplicationAlone(t *testing.T) {
	for _, good := range []string{
		"/", "/orders", "/orders?page=2&next=https://evil.example", "/a//b", "/%2F/evil.example", "/%5Cevil.example", "/..//evil.example",
		"/orders#part", "/" + strings.Repeat("a", maxReturn-1), "/%E2%82%AC", "/a:b@c",
	} {
		require.NoError(t, CheckReturn(good), good)
	}
	for _, bad := range []string{
		"", "orders", "//evil.example", "///evil.example", `/\evil.example`, `\/evil.example`, `/a\b`, "https://evil.example", "javascript:alert(1)",
		"/\tevil.example", "/\t/evil.example", "\t//evil.example", " //evil.example", "/ /evil.example", "/\n/evil.example", "/\x00", "/\x7f",
		"/€", "/／evil.example", "/\u2028", "@evil.example", "?a=b", "#a", "/%zz", "/%", "/" + strings.Repeat("a", maxReturn), "/" + strings.Repeat("a", 4<<10),
	} {
		require.Error(t, CheckReturn(bad), "%q", bad)
	}
}

func TestAPageWithALongQueryIsReturnedToWithoutIt(t *testing.T) {
	require.Equal(t, "/orders?page=2", ReturnTo("/orders?page=2"))
	require.Equal(t, "/orders", ReturnTo("/orders?q="+strings.Repeat("a", maxReturn)))
	require.Equal(t, "/orders", ReturnTo("/orders?q=\\"))
	require.Empty(t, ReturnTo("//evil.example/orders"))
	require.Empty(t, ReturnTo("*"))
	require.Empty(t, ReturnTo("http://evil.example/orders"))
	require.Empty(t, ReturnTo("/"+strings.Repeat("a", maxReturn)+"?q"))
}

// A browser resolves what CheckReturn allows against the application, and stays there.
func FuzzWhatIsReturnedToStaysOnTheHost(f *testing.F) {
	for _, seed := range []string{"/", "//evil.example", `/\evil.example`, "/a?b#c", "/\t/evil.example", "/..//evil.example", "/%09/evil.example"} {
		f.Add(seed)
	}
	base, err := url.Parse("https://app.example.org/api/auth/v2/callback")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, address string) {
		if CheckReturn(address) != nil {
			return
		}
		// As the URL Standard reads it: tabs and line ends are left out, backslashes are slashes.
		read := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(address)
		require.Equal(t, address, read)
		u, err := base.Parse(read)
		require.NoError(t, err)
		require.Equal(t, "https", u.Scheme)
		require.Equal(t, "app.example.org", u.Host)
		require.Nil(t, u.User)
	})
}
