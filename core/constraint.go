package core

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/text"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// Constraint is something that a guard demands of a valid token. Make one with
// [Scopes], [AnyRole], [AllRoles], [Claim], [ClaimAll] or [Resource]; the zero Constraint is malformed. Constraints are
// immutable.
type Constraint struct {
	rule      verify.Rule
	refuseBad bool
	resource  string // whose guard it is
	err       error
}

// RefuseBadTokens, among the constraints of [Auth.Optional], refuses a token that is
// invalid or fails a constraint; without it such a request counts as anonymous.
var RefuseBadTokens = Constraint{refuseBad: true}

// Scopes demands all of the scopes, each an argument of its own. Without arguments it
// demands nothing.
func Scopes(all ...string) Constraint {
	c := Constraint{rule: verify.Rule{Kind: verify.ScopeRule, Names: slices.Clone(all)}}
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
	c.rule.All = true
	return c
}

func roleConstraint(function string, roles []string) Constraint {
	c := Constraint{rule: verify.Rule{Kind: verify.RoleRule, Names: slices.Clone(roles)}}
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
	c.rule.All = true
	return c
}

func claimConstraint(function, path string, values []any) Constraint {
	c := Constraint{rule: verify.Rule{Kind: verify.ClaimRule, Path: path}}
	if path == "" || len(values) == 0 {
		c.err = fmt.Errorf("core.%s needs a path and at least one value", function)
	}
	for _, value := range values {
		normal, ok := jsonScalar(value)
		if !ok {
			c.err = fmt.Errorf("core.%s(%q): a %T such as this can't be the value of a claim; use a string, a bool, or a number below 2^53", function, path, value)
		}
		c.rule.Values = append(c.rule.Values, normal)
	}
	return c
}

// jsonScalar gives a value as a JSON decoder would, if it can be told from every
// other: beyond that two tenants could be the same one.
func jsonScalar(value any) (any, bool) {
	switch v := reflect.ValueOf(value); {
	case !v.IsValid():
		return nil, false
	case v.Kind() == reflect.String:
		return v.String(), true
	case v.Kind() == reflect.Bool:
		return v.Bool(), true
	case v.CanInt():
		return float64(v.Int()), -claim.MaxExact <= v.Int() && v.Int() <= claim.MaxExact
	case v.CanUint():
		return float64(v.Uint()), v.Uint() <= claim.MaxExact
	case v.CanFloat():
		return v.Float(), math.Abs(v.Float()) <= claim.MaxExact
	}
	return nil, false
}

// check says what is wrong with a malformed constraint.
func (c Constraint) check() error {
	if c.rule.Kind == 0 && !c.refuseBad && c.resource == "" && c.err == nil {
		return errors.New("the zero core.Constraint demands nothing; make one with Scopes, AnyRole, AllRoles, Claim or ClaimAll")
	}
	return c.err
}

// rulesOf are the rules of constraints.
func rulesOf(constraints []Constraint) []verify.Rule {
	rules := make([]verify.Rule, len(constraints))
	for i, c := range constraints {
		rules[i] = c.rule
	}
	return rules
}

// judge holds a valid token against all the rules of the lists.
func judge(token Token, lists ...[]verify.Rule) error {
	failure := verify.Judge(token.verified, lists...)
	switch {
	case failure == nil:
		return nil
	case failure.Scopes != "":
		e := ErrInsufficientScope.because(failure.Reason)
		e.Scope = failure.Scopes
		return e
	}
	return ErrInsufficientClaims.because(failure.Reason)
}
