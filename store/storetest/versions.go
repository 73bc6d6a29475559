package storetest

import (
	"fmt"
)

func nothingIsNotFound(p place) {
	s := p.store()
	s.wantMissing(kind, "nothing")
	s.wantFound(kind, "")
	s.wantFound(kind, "key")
	s.wantPurged(tomorrow(), 1, 0)

	r := s.mustPut(record("id"))
	for _, id := range []string{"ID", "i", "id ", "id2", "key"} {
		s.wantMissing(kind, id)
	}
	s.wantMissing("other", r.ID)
	s.mustDelete(r)
	s.wantMissing(kind, r.ID)
}

func insertOfWhatIsThere(p place) {
	s := p.store()
	r := record("id")
	r.Keys[0] = "old"
	r = s.mustPut(r)
	again := record(r.ID)
	again.Keys[0], again.Data = "new", []byte("other data")
	for range 2 {
		_, err := s.put(again)
		s.wantConflict(err, "an insert of what is there in version %d", r.Version)
		s.want(r)
		s.wantFound(kind, "old", r)
		s.wantFound(kind, "new")
		r = s.mustPut(r)
	}
}

func versionsCount(p place) {
	s := p.store()
	r, other := record("id"), s.mustPut(record("other"))
	for want := int64(1); want <= 20; want++ {
		r.Data = fmt.Append(nil, want)
		r = s.mustPut(r)
		if r.Version != want {
			p.Fatalf("the version is %d, not %d", r.Version, want)
		}
		s.want(r)
	}
	s.want(other)
	s.mustDelete(r)
	r.Version = 0
	s.want(s.mustPut(r))
}

func putOfAnotherVersion(p place) {
	s := p.store()
	wrong := func(id string, versions ...int64) {
		p.Helper()
		for _, version := range versions {
			r := record(id)
			r.Version, r.Keys[0], r.Data, r.Expires = version, "wrong", []byte("wrong"), tomorrow()
			_, err := s.put(r)
			s.wantConflict(err, "Put(%q) in version %d", id, version)
		}
		s.wantFound(kind, "wrong")
	}
	r := record("id")
	wrong(r.ID, 1, 2)
	s.wantMissing(kind, r.ID)

	r = s.mustPut(r)
	wrong(r.ID, 2, 3)
	s.want(r)

	r = s.mustPut(s.mustPut(r))
	wrong(r.ID, 0, 1, 2, 4, 1<<40)
	s.want(r)

	s.mustDelete(r)
	wrong(r.ID, 1, 2, 3, 4)
	s.wantMissing(kind, r.ID)
}

func deleteOfAnotherVersion(p place) {
	s := p.store()
	wrong := func(id string, versions ...int64) {
		p.Helper()
		for _, version := range versions {
			s.wantConflict(s.delete(kind, id, version), "Delete(%q) in version %d", id, version)
		}
	}
	r := record("id")
	r.Keys[0] = "key"
	wrong(r.ID, 0, 1)

	r = s.mustPut(s.mustPut(r))
	wrong(r.ID, 0, 1, 3, 1<<40)
	s.want(r)
	s.wantFound(kind, "key", r)

	s.mustDelete(r)
	wrong(r.ID, 0, 1, 2, 3)
	s.wantMissing(kind, r.ID)
}
