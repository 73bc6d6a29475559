package claim

import (
	"errors"
	"strings"
	"unicode"

	"github.com/oidcgate/oidcgate/core/internal/text"
)

// The names by which providers know a user, the first match wins; see [FirstText].
var (
	UsernameClaims  = []string{"preferred_username", "user_name", "uid", "username"}
	firstNameClaims = []string{"first_name", "given_name"}
	lastNameClaims  = []string{"last_name", "family_name", "surname"}
	EmailClaims     = []string{"email", "mail"}
)

// Profile is what is known of a user's names and address.
type Profile struct {
	Username, FirstName, LastName, Name, Email string
	// EmailVerified is about Email; nil: unknown.
	EmailVerified *bool
}

// ReadProfile finds a user's names at the top level of the claims, then at the
// paths.
func ReadProfile(claims map[string]any, paths []string) Profile {
	places := []map[string]any{claims}
	for _, path := range paths {
		value, _ := At(claims, path)
		if object, ok := value.(map[string]any); ok {
			places = append(places, object)
		}
	}
	find := func(names ...string) string {
		for _, place := range places {
			if name := FirstText(place, names); name != "" {
				return name
			}
		}
		return ""
	}
	who := Profile{
		Username: find(UsernameClaims...), FirstName: find(firstNameClaims...), LastName: find(lastNameClaims...),
		Name: find("name"), Email: find(EmailClaims...),
	}
	if who.LastName == "" {
		if words := text.Words(who.Name); len(words) > 0 {
			who.LastName = words[len(words)-1]
		}
	}
	// A word about one address is none about another.
	if who.Email != "" && claims["email"] == who.Email {
		who.EmailVerified = truth(claims["email_verified"])
	}
	return who
}

// truth is a claim that is true or false, or the word, as some providers have it; nil:
// neither.
func truth(claim any) *bool {
	switch claim {
	case true, "true":
		return new(true)
	case false, "false":
		return new(false)
	}
	return nil
}

// maxSubject is the limit of OpenID Connect Core 2 for sub, in bytes, with room
// for providers that don't keep it.
const maxSubject = 1 << 10

// CheckSubject keeps out what stands for no user, or what a store can't look a session
// up by.
func CheckSubject(subject string) error {
	switch {
	case subject == "":
		return errors.New("is missing")
	case len(subject) > maxSubject:
		return errors.New("is too long")
	case strings.ContainsFunc(subject, unicode.IsControl):
		return errors.New("has a control character")
	}
	return nil
}
