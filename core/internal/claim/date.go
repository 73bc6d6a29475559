package claim

import (
	"math"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Latest is the end of the year 9999, past which a date is a mistake.
const Latest = 253402300799

// numericDate is a NumericDate of RFC 7519 2: seconds, maybe with a fraction. Its
// zero value means absent: a claim that is there is not before 1970.
type numericDate struct{ time.Time }

// read reads a date; null is none.
func (d *numericDate) read(decoder *jsontext.Decoder) error {
	token, err := decoder.ReadToken()
	switch {
	case err != nil:
		return err
	case token.Kind() == 'n':
		return nil
	case token.Kind() != '0':
		return malformed("is not a number")
	}
	if seconds, err := token.Float(); err != nil || !d.set(seconds) {
		return malformed("is not a date")
	}
	return nil
}

// readAny reads a date that access tokens need not have. Whatever else is there counts
// as none.
func (d *numericDate) readAny(decoder *jsontext.Decoder) error {
	if decoder.PeekKind() != '0' {
		_, err := skip(decoder)
		return err
	}
	token, err := decoder.ReadToken()
	if err != nil {
		return err
	}
	seconds, err := token.Float()
	if err != nil {
		return malformed("contains a number that is too large")
	}
	d.set(seconds)
	return nil
}

// set takes seconds since 1970, and reports whether they are a date.
func (d *numericDate) set(seconds float64) bool {
	if seconds < 0 || seconds > Latest {
		return false
	}
	whole, fraction := math.Modf(seconds)
	d.Time = time.Unix(int64(whole), int64(fraction*1e9))
	return true
}
