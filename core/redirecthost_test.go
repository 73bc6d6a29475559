package core

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// net/http reads such digits and letters as plain ones, and connects to this machine.
func TestARedirectURIHasAHostInPlainLetters(t *testing.T) {
	for _, host := range []string{"127.0.0.%EF%BC%91", "app.localhos%EF%BD%94", "m%C3%BCnchen.example"} {
		_, err := client{redirectURIs: []string{"https://" + host}}.redirectKind("https://" + host)
		require.ErrorIs(t, err, ErrInvalidRequest, host)
	}
}
