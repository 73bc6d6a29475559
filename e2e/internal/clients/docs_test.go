package clients

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the document shows has run: each of its blocks is in one of the clients, but
// for the indentation.
func TestDocumentShowsTheClientsThatRun(t *testing.T) {
	document, err := os.ReadFile("../../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```(go|js|python)\n(.*?)```").FindAllStringSubmatch(string(document), -1)
	if len(blocks) == 0 {
		t.Fatal("the document shows no code")
	}
	for _, block := range blocks {
		extension := map[string]string{"go": "*.go", "js": "programs/*.mjs", "python": "programs/*.py"}[block[1]]
		names, err := filepath.Glob(extension)
		if err != nil {
			t.Fatal(err)
		}
		shown := false
		for _, name := range names {
			code, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			shown = shown || strings.Contains(flush(string(code)), flush(block[2]))
		}
		if !shown {
			t.Errorf("no client has this code:\n%s", block[2])
		}
	}
}

// flush is code without its indentation.
func flush(code string) string {
	return regexp.MustCompile(`(?m)^[ \t]+`).ReplaceAllString(code, "")
}
