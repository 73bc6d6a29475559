package memory_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/oidcgate/oidcgate/store"
	_ "github.com/oidcgate/oidcgate/store/memory"
)

// The import makes the URL known.
func Example() {
	ctx := context.Background()
	records, err := store.Open("memory:")
	if err != nil {
		log.Fatal(err)
	}
	if err := records.Open(ctx); err != nil {
		log.Fatal(err)
	}
	defer records.Close()

	note := store.Record{Kind: "note", ID: "1", Keys: [2]string{"alice"}, Data: []byte("hello"), Expires: time.Now().Add(time.Hour)}
	if note.Version, err = records.Put(ctx, note); err != nil {
		log.Fatal(err)
	}
	found, err := records.Find(ctx, "note", "alice", "", 10)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, version %d\n", found[0].Data, found[0].Version)

	// Of two who change one version, the second has to look again.
	_, err = records.Put(ctx, note)
	fmt.Println(err)
	_, err = records.Put(ctx, note)
	fmt.Println(err)
	// Output:
	// hello, version 1
	// <nil>
	// the record was changed by somebody else, or is there already
}
