package core

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/oidcgate/oidcgate/core/internal/text"
)

// Constraint is something that a guard demands of a valid token. Make one with
// [Scopes], [AnyRole], [AllRoles], [Claim] or [ClaimAll]; the zero Constraint is malformed. Constraints are
// immutable.
type Constraint struct {
	kind   constraintKind
	path   string   // of a claim
	names  []string // scopes or roles
	values []any    // of a claim: string, bool or float64
	all    bool     // all the roles, or all the values of the claim, and not just one
	minted bool     // a claim that a token leaves out was judged when the token was minted
	err    error
}

type constraintKind int

const (
	_ constraintKind = iota
	constraintScope
	constraintRole
	constraintClaim
	constraintRefuseBad
)

// RefuseBadTokens, among the constraints of [Auth.Optional], refuses a token that is
// invalid or fails a constraint; without it such a request counts as anonymous.
var RefuseBadTokens = Constraint{kind: constraintRefuseBad}

// Scopes demands all of the scopes, each an argument of its own. Without arguments it
// demands nothing.
func Scopes(all ...string) Constraint {
	c := Constraint{kind: constraintScope, names: slices.Clone(all)}
	for _, scope := range all {
		if !text.ValidScope(scope) {
			c.err = fmt.Errorf("core.Scopes: %q is not one scope (RFC 6749 3.3); give each its own argument", scope)
		}
	}
	return c
}

// AnyRole demands at least one of the roles among the token's flat roles (see
// [Token.Roles]).
func AnyRole(any ...string) Constraint { return roleConstraint("AnyRole", any) }

// AllRoles demands every one of the roles among the token's flat roles (see
// [Token.Roles]).
func AllRoles(all ...string) Constraint {
	c := roleConstraint("AllRoles", all)
	c.all = true
	return c
}

func roleConstraint(function string, roles []string) Constraint {
	c := Constraint{kind: constraintRole, names: slices.Clone(roles)}
	if len(roles) == 0 || slices.Contains(roles, "") {
		c.err = fmt.Errorf("core.%s needs roles that are not empty", function)
	}
	return c
}

// Claim demands that the claim at path has one of the accepted values, or,
// where the claim is a list, holds one. The path is tried whole and then member by
// member, the longest name first: "email_verified", "realm_access.roles",
// "https://example.org/department". Accepted values are strings, booleans and
// numbers, and match values of their own JSON type only: true is not "true".
func Claim(path string, accepted ...any) Constraint {
	return claimConstraint("Claim", path, accepted)
}

// ClaimAll demands that the claim at path is a list which holds all the values, or is
// the one value itself. Path and values are as for [Claim].
func ClaimAll(path string, all ...any) Constraint {
	c := claimConstraint("ClaimAll", path, all)
	c.all = true
	return c
}

func claimConstraint(function, path string, values []any) Constraint {
	c := Constraint{kind: constraintClaim, path: path}
	if path == "" || len(values) == 0 {
		c.err = fmt.Errorf("core.%s needs a path and at least one value", function)
	}
	for _, value := range values {
		normal, ok := jsonScalar(value)
		if !ok {
			c.err = fmt.Errorf("core.%s(%q): a %T such as this can't be the value of a claim; use a string, a bool, or a number below 2^53", function, path, value)
		}
		c.values = append(c.values, normal)
	}
	return c
}

// jsonScalar gives a value as a JSON decoder would, if it can be told from every
// other: beyond maxExact two tenants could be the same one.
func jsonScalar(value any) (any, bool) {
	switch v := reflect.ValueOf(value); {
	case !v.IsValid():
		return nil, false
	case v.Kind() == reflect.String:
		return v.String(), true
	case v.Kind() == reflect.Bool:
		return v.Bool(), true
	case v.CanInt():
		return float64(v.Int()), -maxExact <= v.Int() && v.Int() <= maxExact
	case v.CanUint():
		return float64(v.Uint()), v.Uint() <= maxExact
	case v.CanFloat():
		return v.Float(), math.Abs(v.Float()) <= maxExact
	}
	return nil, false
}

// check says what is wrong with a malformed constraint.
func (c Constraint) check() error {
	if c.kind == 0 {
		return errors.New("the zero core.Constraint demands nothing; make one with Scopes, AnyRole, AllRoles, Claim or ClaimAll")
	}
	return c.err
}

// judge holds a valid token against all the constraints of the lists. Missing scopes are
// told first, all of them at once.
func judge(token Token, lists ...[]Constraint) error {
	var missing []string
	failed := ""
	for _, constraints := range lists {
		for _, c := range constraints {
			switch c.kind {
			case constraintScope:
				for _, scope := range c.names {
					if !token.HasScope(scope) && !slices.Contains(missing, scope) {
						missing = append(missing, scope)
					}
				}
			case constraintRole:
				if failed == "" && !c.hasRoles(token) {
					failed = "The token's claims do not give the roles that are needed here."
				}
			case constraintClaim:
				if failed == "" && !c.holds(token) {
					failed = "The token's claims do not allow this: " + text.Quotable(c.path) + " has not the value that is needed here."
				}
			}
		}
	}
	if len(missing) > 0 {
		e := ErrInsufficientScope.because("The token lacks the scope " + strings.Join(missing, " ") + ".")
		e.Scope = neededScopes(lists...)
		return e
	}
	if failed != "" {
		return ErrInsufficientClaims.because(failed)
	}
	return nil
}

// neededScopes are all scopes that the constraints demand, each once, as in a scope
// parameter.
func neededScopes(lists ...[]Constraint) string {
	var needed []string
	for _, constraints := range lists {
		for _, c := range constraints {
			if c.kind != constraintScope {
				continue
			}
			for _, scope := range c.names {
				if !slices.Contains(needed, scope) {
					needed = append(needed, scope)
				}
			}
		}
	}
	return strings.Join(needed, " ")
}

func (c Constraint) hasRoles(token Token) bool {
	if c.all {
		return !slices.ContainsFunc(c.names, func(role string) bool { return !token.HasRole(role) })
	}
	return slices.ContainsFunc(c.names, token.HasRole)
}

func (c Constraint) holds(token Token) bool {
	value, found := at(token.verified.claims.all(), c.path)
	if !found && c.minted {
		return true
	}
	has := func(wanted any) bool { // compares a text, a bool or a number
		if list, ok := value.([]any); ok {
			return slices.Contains(list, wanted)
		}
		return value == wanted
	}
	if c.all {
		return !slices.ContainsFunc(c.values, func(wanted any) bool { return !has(wanted) })
	}
	return slices.ContainsFunc(c.values, has)
}
