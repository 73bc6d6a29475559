package provider

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/claim"
)

// foreign is a JSON object that a provider has answered with. It is read member by
// member, since providers write the same thing in different ways. A member that is
// null, or of a type that it can't have, is one that is not there.
type foreign map[string]json.RawMessage

// parseForeign reads a JSON object. Its error repeats nothing of the input, which the
// errors of a JSON decoder do.
func parseForeign(body []byte) (foreign, bool) {
	var f foreign
	return f, json.Unmarshal(body, &f) == nil && f != nil
}

// text is a string.
func (f foreign) text(name string) string {
	var text *string
	if json.Unmarshal(f[name], &text) != nil || text == nil {
		return ""
	}
	return *text
}

// list is a list of strings, or one string.
func (f foreign) list(name string) []string {
	if text := f.text(name); text != "" {
		return []string{text}
	}
	var list []string
	if json.Unmarshal(f[name], &list) != nil {
		return nil
	}
	return list
}

// flag is a truth value, or the word.
func (f foreign) flag(name string) bool {
	value := strings.Trim(string(f[name]), `"`)
	return value == "true"
}

// seconds is a number of seconds or a Unix time, as a number or a numeric string. 0 is
// anything else.
func (f foreign) seconds(name string) int64 {
	number, err := strconv.ParseFloat(strings.Trim(string(f[name]), `"`), 64)
	if err != nil || !(number >= 0 && number <= claim.Latest) { // NaN is neither
		return 0
	}
	return int64(number)
}
