package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/store"
)

func recordComesBack(p place) {
	s := p.store()
	r := s.mustPut(store.Record{
		Kind: kind, ID: "id", Keys: [2]string{"first", "second"},
		Data: []byte("data"), Expires: tomorrow(),
	})
	s.want(r)
	s.wantFound(kind, "first", r)
	s.wantFound(kind, "", r)

	r.Keys, r.Data, r.Expires = [2]string{"", "third"}, []byte("more data"), time.Time{}
	r = s.mustPut(r)
	s.want(r)
	s.wantFound(kind, "third", r)
}

func anyBytesAreKept(p place) {
	s := p.store()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, data := range map[string][]byte{
		"every-byte":     all,
		"zeros":          make([]byte, 100),
		"invalid-utf8":   []byte("\xff\xfe\xc0\x80\xed\xa0\x80"),
		"trailing-zeros": []byte("x\x00\x00"),
		"spaces":         []byte("  x \r\n"),
		"sql":            []byte(`'; DROP TABLE records; -- \x00 \\ " $1 ?`),
		"one-mebibyte":   bytes.Repeat(all, 1<<20/256),
	} {
		r := record(name)
		r.Data = data
		r = s.mustPut(r)
		s.want(r)
		s.want(s.mustPut(r))
	}
}

func noDataIsEmptyData(p place) {
	s := p.store()
	for name, data := range map[string][]byte{"nil": nil, "empty": {}} {
		r := record(name)
		r.Data = data
		r = s.mustPut(r)
		s.want(r)

		r.Data = []byte("something")
		r = s.mustPut(r)
		s.want(r)

		r.Data = data
		s.want(s.mustPut(r))
	}
}

func expiryIsKept(p place) {
	s := p.store()
	for i, expires := range []time.Time{
		{},
		tomorrow(),
		tomorrow().Add(time.Millisecond),
		tomorrow().In(time.FixedZone("", -7*3600)),
		time.Date(2038, 1, 19, 3, 14, 8, 1e6, time.UTC), // beyond 32 bits of seconds
		time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC),
		time.UnixMilli(0),
		time.UnixMilli(-1),
		time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		r := record(fmt.Sprint(i))
		r.Expires = expires
		r = s.mustPut(r)
		got, err := s.get(kind, r.ID)
		if errors.Is(err, store.ErrNotFound) && !expires.IsZero() && expires.Before(time.Now()) {
			continue // by an expiry of the store's own
		}
		s.must(err, "Get of a record that expires at %s", expires)
		s.wantSame(got, r)
	}
	r := s.mustPut(record("changing"))
	for _, expires := range []time.Time{tomorrow(), {}, tomorrow().Add(time.Hour), tomorrow()} {
		r.Expires = expires
		r = s.mustPut(r)
		s.want(r)
	}
}

// keys are all different, though many a comparison takes some for the same.
var keys = []string{
	"a", "A", "a ", " a", " ", "  ", "ab", "abc",
	"0", "00", "0.0", "-1", "1e3", "true", "null", "NULL", `\N`, "{}", "[]",
	"%", "_", "a%", "a_", "%a%", "*", "a*", "?", "[a-c]", `\`, `\\`, `\%`, "^a", ".",
	"'", "''", `"`, "`", "' OR '1'='1", "'; DROP TABLE records; --", `\'`, "/* */", "--", ";",
	"?1", "$1", ":1", "@a", "{0}", "%s", "%d", "a/b", "a\\b", "../a", "a:b", "a,b", "a|b",
	"\u00e9", "e\u0301", "e", "\u00c9", // é composed, decomposed, without accent, capital
	"ß", "ss", "ẞ", "İ", "I", "ı", "i", "ﬁ", "fi", "Σ", "σ", "ς", "k", "K", "\u212a", // the last is the Kelvin sign
	"日本語", "かな", "カナ", "ｶﾅ", "שלום", "سلام", "👩‍👧", "👩", "𝔘", "\U0010ffff", "\ufffd",
	"a\u200b", "\ufeffa", "a\u00ad", "a\u00a0", "a\u3000",
	strings.Repeat("x", 1024), strings.Repeat("x", 1023), strings.Repeat("x", 1023) + "y",
	strings.Repeat("é", 512), strings.Repeat("語", 341) + "!", strings.Repeat("𝔘", 256),
}

func anyKeyIsKept(p place) {
	s := p.store()
	first, second := map[string]store.Record{}, map[string]store.Record{}
	for i, key := range keys {
		r := record(fmt.Sprint(i))
		r.Keys[0] = key
		first[key] = s.mustPut(r)
		r.Kind, r.Keys = "other", [2]string{"common", key}
		second[key] = s.mustPut(r)
	}
	for _, key := range keys {
		s.want(first[key])
		s.want(second[key])
		s.wantFound(kind, key, first[key])
		s.wantFound("other", key, second[key])
	}
	s.wantFound(kind, "common")
}

func anyIDIsKept(p place) {
	s := p.store()
	var printable strings.Builder
	list := []string{
		"ab", "Ab", "aB", "AB", "a ", " a", "a  b", "..", "../a", "a/b", "%41", "a%", "a_",
		"NULL", "0", "00", "1e1", "'; DROP TABLE records; --",
		strings.Repeat("x", 128), strings.Repeat("x", 127), strings.Repeat("x", 127) + "X", strings.Repeat(" ", 128),
	}
	for c := byte(' '); c <= '~'; c++ {
		printable.WriteByte(c)
		if c != '0' {
			list = append(list, string(c))
		}
	}
	list = append(list, printable.String(), printable.String()+strings.Repeat("~", 128-printable.Len()))

	var all []store.Record
	for _, id := range list {
		r := record(id)
		r.Keys[1] = "key"
		all = append(all, s.mustPut(r))
	}
	for i, r := range all {
		s.want(r)
		all[i] = s.mustPut(r)
	}
	s.wantFound(kind, "", all...)
	s.wantFound(kind, "key", all...)
	for _, r := range all {
		s.mustDelete(r)
		s.wantMissing(kind, r.ID)
	}
	s.wantFound(kind, "")
}

func kindIsASpaceOfItsOwn(p place) {
	s := p.store()
	var all []store.Record
	for i, kind := range []string{"a", "a-", "a--", "b", "-", strings.Repeat("k", 32), strings.Repeat("k", 31)} {
		// The IDs are such that kind and ID one after the other are often the same.
		for _, id := range []string{"id", "-id", "--id"} {
			all = append(all, s.mustPut(store.Record{
				Kind: kind, ID: id, Keys: [2]string{"key", "-key"}, Data: fmt.Appendf(nil, "%d %s", i, id),
			}))
		}
	}
	for i := 0; i < len(all); i += 3 {
		s.wantFound(all[i].Kind, "key", all[i:i+3]...)
		s.wantFound(all[i].Kind, "", all[i:i+3]...)
	}
	for i, r := range all {
		s.want(r)
		if i%2 == 0 {
			s.mustDelete(r)
		}
	}
	for i, r := range all {
		if i%2 == 0 {
			s.wantMissing(r.Kind, r.ID)
		} else {
			s.want(r)
		}
	}
}

func slicesAreNotKept(p place) {
	s := p.store()
	spoil := func(data []byte) {
		for i := range data {
			data[i] = '!'
		}
		// What follows in the same memory may belong to another record.
		_ = append(data, "!!!!!!!!"...)
	}
	var all []store.Record
	for _, id := range []string{"a", "b", "c"} {
		r := record(id)
		handed := append(make([]byte, 0, 100), r.Data...)
		r.Data = bytes.Clone(handed)
		put := r
		put.Data = handed
		r.Version = s.mustPut(put).Version
		spoil(handed)
		s.want(r)
		all = append(all, r)
	}
	for _, r := range all {
		got, err := s.get(kind, r.ID)
		s.must(err, "Get")
		spoil(got.Data)
		s.want(r)
	}
	page := s.mustFind(kind, "", "", 10)
	s.wantPage(page, all)
	spoil(page[0].Data)
	s.wantPage(page[1:], all[1:])
	s.wantFound(kind, "", all...)
}
