package claim

import (
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oidcgate/oidcgate/core/internal/text"
)

// textList is a claim that is a string or a list of strings, such as aud; null is
// none.
type textList []string

func (l *textList) read(decoder *jsontext.Decoder) error {
	if decoder.PeekKind() != '[' {
		text, err := readOptional(decoder)
		if text != nil {
			*l = textList{*text}
		}
		return err
	}
	if _, err := decoder.ReadToken(); err != nil {
		return err
	}
	for {
		token, err := decoder.ReadToken()
		if err != nil {
			return err
		}
		switch token.Kind() {
		case ']':
			return nil
		case '"':
			*l = append(*l, token.String())
		default:
			return malformed("contains something other than strings")
		}
	}
}

// scopeList is a scope claim: a list separated by spaces (RFC 8693 4.2), or an
// array, as some providers have it.
type scopeList []string

func (l *scopeList) read(decoder *jsontext.Decoder) error {
	var list textList
	if err := list.read(decoder); err != nil {
		return err
	}
	for _, entry := range list {
		*l = append(*l, text.Words(entry)...)
	}
	return nil
}
