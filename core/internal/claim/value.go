package claim

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// This file reads the claims that no check needs, in the forms that providers use.

// At finds the claim at a path: the path as a whole first, then member by member, the
// longest name first, since names of claims and client ids may contain dots. null is
// no claim.
func At(claims map[string]any, path string) (any, bool) {
	if value := claims[path]; value != nil {
		return value, true
	}
	for end := strings.LastIndexByte(path, '.'); end >= 0; end = strings.LastIndexByte(path[:end], '.') {
		member, _ := claims[path[:end]].(map[string]any)
		if value, ok := At(member, path[end+1:]); ok {
			return value, true
		}
	}
	return nil, false
}

// RolePaths are the paths of the claims that hold roles: see Provider.RoleClaims.
type RolePaths []string

// In gathers the flat roles, each once and sorted.
func (paths RolePaths) In(claims map[string]any) []string {
	var roles []string
	for _, path := range paths {
		value, _ := At(claims, path)
		roles = append(roles, Texts(value)...)
	}
	slices.Sort(roles)
	return slices.Compact(roles)
}

// AreIn reports whether any of the claims is there, be it empty.
func (paths RolePaths) AreIn(claims map[string]any) bool {
	return slices.ContainsFunc(paths, func(path string) bool {
		_, ok := At(claims, path)
		return ok
	})
}

// Texts gives the texts of a claim, none of them empty: a text by itself, those in a
// list, or the names of an object's members, but for those of which the value says no.
func Texts(value any) []string {
	var found []string
	add := func(text string) {
		if text != "" {
			found = append(found, text)
		}
	}
	switch value := value.(type) {
	case string:
		add(value)
	case []any:
		for _, entry := range value {
			text, _ := entry.(string)
			add(text)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			switch value[name] {
			case nil, false, "false", "", 0.0:
			default:
				add(name)
			}
		}
	}
	return found
}

// FirstText gives the first of the names by which the claims have a text or a number.
// A claim may be spelled in any letter case, and with - in the place of _.
func FirstText(claims map[string]any, names []string) string {
	for _, name := range names {
		spelling := ""
		for key, value := range claims {
			better := key == name || spelling != name && (spelling == "" || key < spelling)
			if better && sameClaim(key, name) && Text(value) != "" {
				spelling = key
			}
		}
		if spelling != "" {
			return Text(claims[spelling])
		}
	}
	return ""
}

func sameClaim(a, b string) bool {
	return len(a) == len(b) && strings.EqualFold(strings.ReplaceAll(a, "-", "_"), b)
}

// Text gives a claim that is a text or a number, else "". A number that may be a
// rounded one is none: it could be somebody else's.
func Text(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case float64:
		if math.Abs(value) <= MaxExact {
			return strconv.FormatFloat(value, 'f', -1, 64)
		}
	}
	return ""
}

// MaxExact is the largest integer that a JSON number can be told from its neighbours
// up to (RFC 8259 6): 2^53 itself may also be 2^53+1, rounded.
const MaxExact = 1<<53 - 1
