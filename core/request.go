package core

import (
	"net/http"
)

// Request is what a guard may look at of a request. An adapter fills it with what its
// router has, and decides nothing: strings may be views of a buffer, and slices the
// router's own, since [Guard.Check] keeps and changes neither. For net/http there is
// [RequestOf].
//
// An adapter must fill all fields: with Config.Browser guards accept the Cookie, and by the
// other headers they tell requests of the application's own pages from those of others. They
// read no DPoP proofs (RFC 9449) yet. A field that is left out counts as a header that was
// not sent.
type Request struct {
	// Method is the method: GET.
	Method string
	// URL is the request target as it came (RFC 9112 3.2), so that a prefix is there
	// that a router has taken off: /api/orders?page=2.
	URL string

	// All values of the headers of these names, one for each line, empty ones
	// included. Two tokens are an attack or a mistake, and must not become one.
	Authorization []string
	DPoP          []string
	Cookie        []string
	Accept        []string

	// The values of the headers Origin, Sec-Fetch-Site, Sec-Fetch-Mode and
	// Sec-Fetch-Dest, which browsers send once; "" where there is none.
	Origin    string
	FetchSite string
	FetchMode string
	FetchDest string
}

// RequestOf gives what a guard looks at of a request of net/http. It shares the
// slices of r.Header, and allocates nothing.
func RequestOf(r *http.Request) Request {
	return Request{
		Method: r.Method, URL: r.RequestURI,
		Authorization: r.Header["Authorization"], DPoP: r.Header["Dpop"], Cookie: r.Header["Cookie"], Accept: r.Header["Accept"],
		Origin: r.Header.Get("Origin"), FetchSite: r.Header.Get("Sec-Fetch-Site"),
		FetchMode: r.Header.Get("Sec-Fetch-Mode"), FetchDest: r.Header.Get("Sec-Fetch-Dest"),
	}
}
