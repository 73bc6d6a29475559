package core

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"time"
)

// Limits of a request's body: its size in bytes, and the time that it has to arrive.
const (
	maxBody  = 64 << 10
	bodyTime = 10 * time.Second
)

// limitBody has the server stop waiting for a body that does not arrive in time, also
// where nobody reads it: net/http reads what a handler has left before it answers.
// Otherwise a client that sends slowly keeps a connection for ever, and a program that
// shuts down has to wait for it. A server with a shorter limit of its own keeps that. Where the
// router's ResponseWriter can't set a deadline, the server's limit is all there is.
func limitBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		return // net/http looks already whether the client is still there
	}
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if ok && server.ReadTimeout > 0 && server.ReadTimeout <= bodyTime {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
}

// bodyArrived ends that limit: from here on the deadline would end the request itself. A
// body that was not read to its end keeps it, for what is left.
func bodyArrived(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
}

// formParams reads the parameters of a form body, and of nothing else. An empty
// body has none, whatever its type.
func formParams(w http.ResponseWriter, r *http.Request) (params, error) {
	values, err := formValues(w, r)
	if err != nil {
		return params{}, err
	}
	return newParams(values)
}

func formValues(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, ErrInvalidRequest.because("The body did not arrive within 10 seconds.")
	case errors.As(err, &tooLarge):
		return nil, errTooLarge.because("The body is larger than 64 KiB.")
	case err != nil:
		return nil, ErrInvalidRequest.because("The body could not be read to its end.").from(err)
	}
	bodyArrived(w, r)
	if len(body) == 0 {
		return nil, nil
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" {
		return nil, errMediaType.because("The body must be application/x-www-form-urlencoded.")
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, ErrInvalidRequest.because("The body is not in the form name=value&name=value.")
	}
	return values, nil
}
