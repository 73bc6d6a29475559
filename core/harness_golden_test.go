package core_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// requireGolden compares a JSON document with a file of testdata, after its
// variable values (pairs of value and placeholder) were replaced.
func requireGolden(t *testing.T, name, document string, variable ...string) {
	t.Helper()
	var got bytes.Buffer
	document = strings.TrimSpace(strings.NewReplacer(variable...).Replace(document))
	require.NoError(t, json.Indent(&got, []byte(document), "", "  "), document)
	got.WriteByte('\n')
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, got.Bytes(), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got.String())
}

var unixTime = regexp.MustCompile(`\b\d{10}\b`)

// sinceNow writes the times of a document that are not long ago as seconds from
// now on.
func sinceNow(now time.Time, document string) string {
	return unixTime.ReplaceAllStringFunc(document, func(text string) string {
		seconds, _ := strconv.ParseInt(text, 10, 64)
		if since := seconds - now.Unix(); since > -1e7 {
			return fmt.Sprintf(`"now%+d"`, since)
		}
		return text
	})
}

// goldenTokens is a token body for requireGolden.
func (a *app) goldenTokens(got answer) string {
	a.t.Helper()
	body := a.tokens(got)
	document := sinceNow(a.clock.Now(), got.body)
	document = strings.Replace(document, body.AccessToken, "<access token>", 1)
	if body.RefreshToken != "" {
		document = strings.Replace(document, body.RefreshToken, "<refresh token>", 1)
	}
	return document
}

// jwtParts gives header and claims of a token, as JSON.
func jwtParts(t *testing.T, raw string) (header, payload string) {
	t.Helper()
	parts := strings.Split(raw, ".")
	require.Len(t, parts, 3)
	for i, into := range []*string{&header, &payload} {
		decoded, err := base64.RawURLEncoding.DecodeString(parts[i])
		require.NoError(t, err)
		*into = string(decoded)
	}
	return header, payload
}

// claimsOf gives the claims of a token.
func claimsOf(t *testing.T, raw string) map[string]any {
	t.Helper()
	_, payload := jwtParts(t, raw)
	var claims map[string]any
	require.NoError(t, json.Unmarshal([]byte(payload), &claims))
	return claims
}
