package sqlite

import (
	"errors"
	"net/url"

	"github.com/oidcgate/oidcgate/store"
)

func init() {
	store.Register("sqlite", func(u *url.URL) (store.Store, error) {
		path := u.Path
		if u.Opaque != "" { // a relative path, still encoded
			var err error
			if path, err = url.PathUnescape(u.Opaque); err != nil {
				return nil, errors.New("the path can't be read: write % as %25")
			}
		}
		switch {
		case u.Host != "" || u.User != nil:
			return nil, errors.New("no host may be named: write sqlite:/path/to/file, with one slash or three, or sqlite:file")
		case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
			return nil, errors.New("there are no options: write a ? in the path as %3F, and a # as %23")
		case path == "" || path == "/":
			return nil, errors.New("the path of the file is missing: write sqlite:/path/to/file, or sqlite::memory: for none")
		}
		return New(path), nil
	})
}
