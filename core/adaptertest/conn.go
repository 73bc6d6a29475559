package adaptertest

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"time"
)

// conn is a keep-alive connection, on which requests can be sent before earlier
// ones are answered.
type conn struct {
	net.Conn
	in *bufio.Reader
}

func (a *app) dial() (*conn, error) {
	c, err := net.DialTimeout("tcp", a.address, patience)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReader(c)}, c.SetDeadline(time.Now().Add(patience))
}

// pipeline sends all requests on one connection and then reads the answers, which
// come in that order.
func (a *app) pipeline(requests []request) ([]answer, error) {
	c, err := a.dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	sent := make(chan error, 1)
	go func() {
		for _, r := range requests {
			var text bytes.Buffer
			err := a.build(r).Write(&text)
			if err == nil {
				_, err = c.Write(text.Bytes())
			}
			if err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	var answers []answer
	for i, r := range requests {
		got, err := c.read(r.method)
		if err != nil {
			c.Close() // ends the writing, too
			<-sent
			return nil, fmt.Errorf("the answer to request %d of %d: %w", i+1, len(requests), err)
		}
		answers = append(answers, got)
	}
	return answers, <-sent
}

// read reads the next answer.
func (c *conn) read(method string) (answer, error) {
	res, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	return readAnswer(res)
}
