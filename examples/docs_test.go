package examples_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocumentsShowTheExamples holds the code in two documents against the examples
// that it is taken from.
func TestDocumentsShowTheExamples(t *testing.T) {
	for document, example := range map[string]string{"../docs/custom-adapter.md": "custom-adapter", "../docs/custom-store.md": "custom-store"} {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		files, err := filepath.Glob(filepath.Join(example, "*.go"))
		require.NoError(t, err)
		all := ""
		for _, file := range files {
			code, err := os.ReadFile(file)
			require.NoError(t, err)
			all += string(code)
		}
		blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(text), -1)
		require.NotEmpty(t, blocks)
		for _, block := range blocks {
			require.Contains(t, all, block[1], document)
		}
	}
}
