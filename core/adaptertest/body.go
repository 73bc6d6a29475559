package adaptertest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/core/oidctest"
)

const (
	maxBody  = 64 << 10
	maxToken = 16 << 10
	maxState = 4 << 10
)

// sized is a form of that many bytes, with a refresh token in it.
func sized(n int) string {
	const fields = "refresh_token=unknown&pad="
	return fields + strings.Repeat("x", n-len(fields))
}

func bodyHasALimit(s suite) {
	a := s.start(options{})
	a.refused(postBody(tokenRoute, formType, sized(maxBody)), http.StatusBadRequest, "invalid_grant")
	for _, path := range []string{tokenRoute, deviceRoute, logoutRoute} {
		for _, n := range []int{maxBody + 1, 2 * maxBody} {
			a.refused(postBody(path, formType, sized(n)), http.StatusRequestEntityTooLarge, "invalid_request")
			chunked := a.build(postBody(path, formType, ""))
			chunked.Body, chunked.ContentLength = io.NopCloser(strings.NewReader(sized(n))), -1
			res, err := a.client.Do(chunked)
			if err != nil {
				a.Fatalf("a chunked body of %d bytes: %v", n, err)
			}
			got, err := readAnswer(res)
			if err != nil {
				a.Fatalf("a chunked body of %d bytes: %v", n, err)
			}
			a.isError(request{http.MethodPost, path, nil, ""}, got, http.StatusRequestEntityTooLarge, "invalid_request")
		}
	}
}

// longTokensAreTaken sends headers and parameters that are as long as they may be,
// so that it is core and not the server that refuses what is longer.
func longTokensAreTaken(s suite) {
	a := s.start(options{})
	long := func(pad int) string {
		return a.provider.SignedToken(a.T, nil, a.provider.Claims("alice", map[string]any{"pad": strings.Repeat("x", pad)}))
	}
	pad := 11000
	for len(long(pad+3)) <= maxToken {
		pad += 3
	}
	a.same(get("/mine", "Authorization", bearer(long(pad)), "Cookie", "some="+strings.Repeat("c", 4000)), http.StatusOK)
	a.same(get(userinfoRoute, "Authorization", bearer(long(pad))), http.StatusOK)
	a.refused(get("/mine", "Authorization", bearer(long(pad+3))), http.StatusUnauthorized, "invalid_token")
	a.same(get("/mine", "Authorization", bearer(long(pad))), http.StatusOK)

	x := func(n int) string { return strings.Repeat("x", n) }
	a.refused(get(callbackRoute+"?code="+x(maxState)+"&state="+x(maxState)), http.StatusBadRequest, "invalid_grant")
	a.refused(get(callbackRoute+"?state="+x(maxState+1)), http.StatusBadRequest, "invalid_request")
	a.refused(post(tokenRoute, "refresh_token", x(maxToken)), http.StatusBadRequest, "invalid_grant")
	a.refused(post(tokenRoute, "refresh_token", x(maxToken+1)), http.StatusBadRequest, "invalid_request")
}

// bodyInPieces sends a body piece by piece, as slowly as another request takes.
func bodyInPieces(s suite) {
	a := s.start(options{configure: broker})
	tokens := a.signIn("alice")
	for name, transfer := range map[string]struct {
		header string
		piece  func(string) string
		end    string
	}{
		"with a length": {"Content-Length: %d", func(text string) string { return text }, ""},
		"chunked":       {"Transfer-Encoding: chunked\r\nX-Length: %d", func(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }, "0\r\n\r\n"},
	} {
		c, err := a.dial()
		if err != nil {
			a.Fatal(err)
		}
		defer c.Close()
		body := form("refresh_token", tokens.RefreshToken).Encode()
		fmt.Fprintf(c, "POST %s%s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\n"+transfer.header+"\r\n\r\n", a.mount, tokenRoute, a.address, formType, len(body))
		for len(body) > 0 {
			n := min(len(body), 40)
			if _, err := io.WriteString(c, transfer.piece(body[:n])); err != nil {
				a.Fatalf("%s: %v", name, err)
			}
			body = body[n:]
			a.same(get("/hello"), http.StatusOK) // others are served meanwhile
		}
		io.WriteString(c, transfer.end)
		got, err := c.read(http.MethodPost)
		if err != nil {
			a.Fatalf("%s: %v", name, err)
		}
		next := a.tokens(got)
		if claims(next.AccessToken)["sid"] != claims(tokens.AccessToken)["sid"] {
			a.Fatalf("%s: the tokens are another session's", name)
		}
		tokens = next
	}
}

// bodyCutOff sends a form of which the end is missing: what has arrived would do as
// a request, and must not be taken for one.
func bodyCutOff(s suite) {
	a := s.start(options{})
	for _, rest := range []string{
		"Content-Length: 100\r\n\r\nrefresh_token=the-first-half",
		"Transfer-Encoding: chunked\r\n\r\n1c\r\nrefresh_token=the-first-half\r\n",
		"Transfer-Encoding: chunked\r\n\r\n1c\r\nrefresh_token=the-first-half\r\nzz\r\n",
	} {
		c, err := a.dial()
		if err != nil {
			a.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST %s%s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\n%s", a.mount, tokenRoute, a.address, formType, rest)
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			a.Fatal(err)
		}
		// Whoever can't send can hardly read; an answer may come or not.
		if got, err := c.read(http.MethodPost); err == nil && got.status != http.StatusBadRequest {
			a.Fatalf("half a request is answered with %v", got)
		}
	}
	if a.provider.Requests(oidctest.TokenPath) > 0 {
		a.Fatal("the provider was asked about half a request")
	}
	a.same(get("/hello"), http.StatusOK)
}

// bodyNeverArrives sends half a body, also where none is read, and waits until the
// connection ends. That takes the ten seconds that a body has.
func bodyNeverArrives(s suite) {
	a := s.start(options{})
	heads := []string{"POST " + a.mount + tokenRoute, "POST " + a.mount + userinfoRoute, "GET " + a.mount + loginRoute, "PUT " + a.mount + deviceRoute}
	ended := make(chan error, len(heads))
	for _, head := range heads {
		go func() {
			c, err := a.dial()
			if err == nil {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: 100\r\n\r\nrefresh_token=the-first-half", head, a.address, formType)
				_, err = io.Copy(io.Discard, c)
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				err = nil // there may have been an answer or none
			}
			ended <- err
		}()
	}
	for range heads {
		if err := <-ended; err != nil {
			a.Errorf("the server waits for a body for ever: %v", err)
		}
	}
}

func bodyTypes(s suite) {
	a := s.start(options{})
	const body = "refresh_token=unknown"
	for _, contentType := range []string{"application/json", "text/plain", "application/x-www-form-urlencodedx", "nonsense/"} {
		a.refused(postBody(tokenRoute, contentType, body), http.StatusUnsupportedMediaType, "invalid_request")
	}
	a.refused(request{method: http.MethodPost, path: tokenRoute, body: body}, http.StatusUnsupportedMediaType, "invalid_request")
	const boundary = "--b\r\nContent-Disposition: form-data; name=\"refresh_token\"\r\n\r\nr\r\n--b--\r\n"
	a.refused(postBody(tokenRoute, "multipart/form-data; boundary=b", boundary), http.StatusUnsupportedMediaType, "invalid_request")
	for _, contentType := range []string{formType + "; charset=utf-8", "Application/X-WWW-Form-URLEncoded"} {
		a.refused(postBody(tokenRoute, contentType, body), http.StatusBadRequest, "invalid_grant")
	}

	// No encoding of the content is known; what is sent is what counts.
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = io.WriteString(w, body)
	_ = w.Close()
	zipped := postBody(tokenRoute, formType, packed.String()).with("Content-Encoding", "gzip")
	a.refused(zipped, http.StatusBadRequest, "invalid_request")
	a.refused(postBody(tokenRoute, formType, body).with("Content-Encoding", "gzip"), http.StatusBadRequest, "invalid_grant")
}
