package address

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOriginsHaveOneSpelling(t *testing.T) {
	spell := func(raw string) string {
		u, err := Absolute(raw)
		require.NoError(t, err)
		return Origin(u)
	}
	require.Equal(t, spell("http://a.example/x"), spell("http://A.example:80"))
	require.Equal(t, spell("https://a.example"), spell("https://a.example:443/?x"))
	require.NotEqual(t, spell("https://a.example"), spell("https://a.example:80"))
	require.NotEqual(t, spell("https://a.example"), spell("http://a.example:443"))
	for _, bad := range []string{"", "a", "/a", "//a.example", "https://a.example/#", "https://u@a.example", "https://a .example", `https://a.example\x`, "https://ä.example", "https://a.example:x"} {
		_, err := Absolute(bad)
		require.Error(t, err, bad)
	}
	for _, bad := range []string{"https://", "https:///x", "ftp://a.example", "http://a.example", "a.example:443"} {
		require.Error(t, Check(bad, false), bad)
	}
	for _, bad := range []string{"https:///x", "data:x", "myapp:/cb", "http://a.example"} {
		require.Error(t, CheckRedirect(bad), bad)
	}
}
