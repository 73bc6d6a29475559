package claim

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProfileTakesTheFirstNameThatMatches(t *testing.T) {
	for _, row := range []struct {
		order []string
		found func(Profile) string
	}{
		{[]string{"preferred_username", "preferred-username", "user_name", "user-name", "uid", "username"}, func(p Profile) string { return p.Username }},
		{[]string{"first_name", "first-name", "given_name", "given-name"}, func(p Profile) string { return p.FirstName }},
		{[]string{"last_name", "last-name", "family_name", "family-name", "surname"}, func(p Profile) string { return p.LastName }},
		{[]string{"email", "mail"}, func(p Profile) string { return p.Email }},
	} {
		for i := range row.order {
			all := map[string]any{"name": "Some Body"}
			for _, name := range row.order[i:] {
				all[name] = name
			}
			if i > 0 {
				all[row.order[i-1]] = "" // an empty name counts as none
			}
			require.Equal(t, row.order[i], row.found(ReadProfile(all, nil)))
		}
	}
	profile := ReadProfile(claims(t, `{"username":"top","person":{"preferred_username":"below","mail":"m"},"more":{"mail":"n","name":"o"},"list":["x"]}`),
		[]string{"nowhere", "list", "person", "more"})
	require.Equal(t, Profile{Username: "top", Name: "o", LastName: "o", Email: "m"}, profile, "the top level goes first, then the paths in their order")
}

func TestTheLastWordOfANameIsTheLastName(t *testing.T) {
	for document, want := range map[string]string{
		`{"name":"Ada King Lovelace"}`: "Lovelace",
		`{"name":"Ada"}`:               "Ada",
		`{"name":" "}`:                 "",
		`{}`:                           "",
		`{"name":"Ada Lovelace","surname":"King"}`: "King",
	} {
		require.Equal(t, want, ReadProfile(claims(t, document), nil).LastName, document)
	}
}

func TestEmailVerifiedIsAboutTheEmail(t *testing.T) {
	for document, want := range map[string]*bool{
		`{"email":"a@b","email_verified":true}`:              new(true),
		`{"email":"a@b","email_verified":"true"}`:            new(true),
		`{"email":"a@b","email_verified":false}`:             new(false),
		`{"email":"a@b","email_verified":"false"}`:           new(false),
		`{"email":"a@b","email_verified":"yes"}`:             nil,
		`{"email":"a@b","email_verified":1}`:                 nil,
		`{"email":"a@b"}`:                                    nil,
		`{"mail":"a@b","email_verified":true}`:               nil,
		`{"email":"","mail":"a@b","email_verified":true}`:    nil,
		`{"email":"","email_verified":true}`:                 nil,
		`{"email":"a@b","mail":"c@d","email_verified":true}`: new(true),
		`{"email_verified":true,"p":{"email":"a@b"}}`:        nil,
	} {
		require.Equal(t, want, ReadProfile(claims(t, document), []string{"p"}).EmailVerified, document)
	}
}

func TestASubjectIsSomebody(t *testing.T) {
	for subject, reason := range map[string]string{
		"u1": "", "ünï cødé": "", strings.Repeat("x", 1024): "",
		"": "is missing", strings.Repeat("x", 1025): "is too long",
		"a\nb": "has a control character", "\x00": "has a control character", "a\u0085": "has a control character",
	} {
		err := CheckSubject(subject)
		if reason == "" {
			require.NoError(t, err, subject)
		} else {
			require.EqualError(t, err, reason)
		}
	}
}
