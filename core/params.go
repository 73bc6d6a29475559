package core

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/oidcgate/oidcgate/core/internal/text"
)

// Limits of what a request may carry, in bytes.
const (
	maxToken    = 16 << 10 // bearer, refresh and subject tokens
	maxState    = 4 << 10  // state and code
	maxRedirect = 2 << 10  // redirect URIs and scopes
	maxOther    = 2 << 10
)

// params are the parameters of one request, each known to come once.
type params struct {
	values url.Values
}

// repeatable are the parameters that may come several times (RFC 8693 2.1).
var repeatable = map[string]bool{"resource": true, "audience": true}

// queryParams reads the parameters of the query.
func queryParams(r *http.Request) (params, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return params{}, ErrInvalidRequest.because("The query is not in the form name=value&name=value.")
	}
	return newParams(values)
}

func newParams(values url.Values) (params, error) {
	for name, list := range values {
		if len(list) > 1 && !repeatable[name] {
			return params{}, ErrInvalidRequest.because("A parameter was sent more than once.")
		}
	}
	return params{values: values}, nil
}

// text gives the value of a parameter that a person may have written. A
// parameter without a value counts as not sent (RFC 6749 3.1).
func (p params) text(name string, limit int) (string, error) {
	return checkText(name, p.values.Get(name), limit)
}

func checkText(name, value string, limit int) (string, error) {
	switch {
	case len(value) > limit:
		return "", ErrInvalidRequest.because("The parameter " + name + " is too long.")
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		return "", ErrInvalidRequest.because("The parameter " + name + " has characters that it can't have.")
	}
	return value, nil
}

// words gives the words of a parameter that is a list.
func (p params) words(name string, limit int) ([]string, error) {
	value, err := checkText(name, strings.ReplaceAll(p.values.Get(name), "\t", " "), limit)
	return text.Words(value), err
}

// validParamName holds a parameter's name against RFC 6749 8.2.
func validParamName(name string) bool {
	return name != "" && isBase64URL(strings.ReplaceAll(name, ".", ""))
}

// ascii gives the value of a parameter that machines made: printable ASCII, as
// RFC 6749 appendix A has it for codes, states and tokens. Of several names,
// which are spellings of one parameter, one may be sent.
func (p params) ascii(limit int, names ...string) (string, error) {
	found := ""
	for _, name := range names {
		value, err := p.text(name, limit)
		switch {
		case err != nil:
			return "", err
		case value == "":
			continue
		case found != "":
			return "", ErrInvalidRequest.because("The parameters " + strings.Join(names, " and ") + " are the same one and were both sent.")
		case strings.ContainsFunc(value, func(r rune) bool { return r > '~' }):
			return "", ErrInvalidRequest.because("The parameter " + name + " has characters that it can't have.")
		}
		found = value
	}
	return found, nil
}

// has reports whether a parameter was sent with a value.
func (p params) has(name string) bool { return p.values.Get(name) != "" }
