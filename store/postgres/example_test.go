package postgres_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/jmoiron/sqlx"
	"github.com/oidcgate/oidcgate/store"
	"github.com/oidcgate/oidcgate/store/postgres"
)

// The import makes the URL known, and Open creates the tables.
func Example() {
	ctx := context.Background()
	records, err := store.Open("postgres://app:" + os.Getenv("DB_PASSWORD") + "@db.example.org/app?sslmode=verify-full&schema=auth")
	if err != nil {
		log.Fatal(err)
	}
	if err := records.Open(ctx); err != nil {
		log.Fatal(err)
	}
	defer records.Close()
	version, err := records.Put(ctx, store.Record{Kind: "note", ID: "1", Data: []byte("hello")})
	fmt.Println(version, err)
}

// A program that has a pool of connections hands it over, and closes it itself.
func ExampleNew() {
	db, err := sqlx.Open("postgres", "postgres://app@db.example.org/app?sslmode=verify-full&binary_parameters=yes")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(20)
	db.SetMaxIdleConns(20)
	records := postgres.New(db, postgres.Options{Schema: "auth"})
	if err := records.Open(context.Background()); err != nil {
		log.Fatal(err)
	}
	defer records.Close()
}

// What is wrong with a URL shows before anything is connected to.
func Example_mistake() {
	_, err := store.Open("postgres://app@db.example.org/app?pool_max_conns=many")
	fmt.Println(err)
	// Output:
	// the postgres: URL of the store: pool_max_conns is not a number of 1 or more
}
