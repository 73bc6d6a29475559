package provider

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCacheControlDecidesHowLongKeysAreFreshWithinBounds(t *testing.T) {
	for value, fresh := range map[string]time.Duration{
		"":                              15 * time.Minute,
		"public, max-age=1800":          30 * time.Minute,
		"MAX-AGE=1800, must-revalidate": 30 * time.Minute,
		`max-age="1800"`:                30 * time.Minute,
		"max-age=0":                     5 * time.Minute,
		"max-age=86400":                 time.Hour,
		"max-age=1800, no-cache":        5 * time.Minute,
		"no-store":                      5 * time.Minute,
		"max-age=-1":                    15 * time.Minute,
		"max-age=99999999999999999999":  15 * time.Minute,
		"max-age":                       15 * time.Minute,
		"private":                       15 * time.Minute,
	} {
		require.Equal(t, fresh, freshKeys(http.Header{"Cache-Control": {value}}), value)
	}
	require.Equal(t, 30*time.Minute, freshKeys(http.Header{"Cache-Control": {"public", "max-age=1800"}}))
}
