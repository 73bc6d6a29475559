package verify

import (
	"slices"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/text"
)

// Rule is a demand on a valid token. The zero Rule demands nothing.
type Rule struct {
	Kind   RuleKind
	Path   string   // of a claim
	Names  []string // scopes or roles
	Values []any    // of a claim: string, bool or float64
	All    bool     // all the roles, or all the values of the claim, and not just one
	Minted bool     // a claim that a token leaves out was judged when the token was minted
}

// RuleKind is what a [Rule] is about.
type RuleKind int

// The kinds of rules.
const (
	_ RuleKind = iota
	ScopeRule
	RoleRule
	ClaimRule
)

// Failure is why a token fails a rule.
type Failure struct {
	Scopes string // all that are needed, if one is missing; "": it is another rule
	Reason string // a sentence for the caller
}

// Judge checks a token against all the rules of the lists, and gives nil if it passes.
// Missing scopes come first, all of them at once; else it is the first rule that fails.
func Judge(t *Token, lists ...[]Rule) *Failure {
	var missing []string
	failed := ""
	for _, rules := range lists {
		for _, r := range rules {
			switch r.Kind {
			case ScopeRule:
				for _, scope := range r.Names {
					if !t.hasScope(scope) && !slices.Contains(missing, scope) {
						missing = append(missing, scope)
					}
				}
			case RoleRule:
				if failed == "" && !r.hasRoles(t) {
					failed = "The token's claims do not contain the required roles."
				}
			case ClaimRule:
				if failed == "" && !r.holds(t) {
					failed = "The token's claims do not allow this: " + text.Quotable(r.Path) + " does not have the required value."
				}
			}
		}
	}
	switch {
	case len(missing) > 0:
		return &Failure{strings.Join(NeededScopes(lists...), " "), "The token lacks the scope " + strings.Join(missing, " ") + "."}
	case failed != "":
		return &Failure{Reason: failed}
	}
	return nil
}

// NeededScopes are all scopes that the rules demand, each once.
func NeededScopes(lists ...[]Rule) []string {
	var needed []string
	for _, rules := range lists {
		for _, r := range rules {
			if r.Kind != ScopeRule {
				continue
			}
			for _, scope := range r.Names {
				if !slices.Contains(needed, scope) {
					needed = append(needed, scope)
				}
			}
		}
	}
	return needed
}

// AsMinted are the rules for guards that accept a broker's own tokens. Those tokens leave
// most of the provider's claims out; what is demanded of such a claim was judged when the
// token was minted.
func AsMinted(rules []Rule) []Rule {
	own := slices.Clone(rules)
	for i := range own {
		own[i].Minted = true
	}
	return own
}

func (r Rule) hasRoles(t *Token) bool {
	if r.All {
		return !slices.ContainsFunc(r.Names, func(role string) bool { return !t.hasRole(role) })
	}
	return slices.ContainsFunc(r.Names, t.hasRole)
}

func (r Rule) holds(t *Token) bool {
	value, found := claim.At(t.Claims.All(), r.Path)
	if !found && r.Minted {
		return true
	}
	has := func(wanted any) bool { // compares a text, a bool or a number
		if list, ok := value.([]any); ok {
			return slices.Contains(list, wanted)
		}
		return value == wanted
	}
	if r.All {
		return !slices.ContainsFunc(r.Values, func(wanted any) bool { return !has(wanted) })
	}
	return slices.ContainsFunc(r.Values, has)
}
