package sqlite_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/oidcgate/oidcgate/store"
	_ "github.com/oidcgate/oidcgate/store/sqlite"
)

// The import makes the URL known. What one store has written is there for the next.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	for range 2 {
		records, err := store.Open("sqlite:" + filepath.Join(dir, "app.db"))
		if err != nil {
			log.Fatal(err)
		}
		if err := records.Open(ctx); err != nil {
			log.Fatal(err)
		}
		_, err = records.Put(ctx, store.Record{Kind: "note", ID: "1", Data: []byte("hello")})
		fmt.Println(err)
		if err := records.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// <nil>
	// the record was changed by somebody else, or is there already
}
