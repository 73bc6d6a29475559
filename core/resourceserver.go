package core

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// Client is a program that has a secret here: an entry of [Broker.ResourceServers].
type Client struct {
	// ID is its name, one among all. "" is an error.
	ID string
	// Secret is its password, of 16 characters or more. Make one with: openssl rand -base64 32
	Secret string
	// Resources are the audiences that it serves: it learns of tokens that are for one of
	// them. nil: Broker.Audience.
	Resources []string
}

// minClientSecret is how long the secret of a client is at least, in characters.
const minClientSecret = 16

// checkClients reports what is wrong with the programs that have a secret.
func checkClients(clients []Client) []error {
	var problems []error
	ids := map[string]bool{}
	for i, c := range clients {
		wrong := func(what string) {
			problems = append(problems, fmt.Errorf("Config.Broker.ResourceServers[%d] (ID %q): %s", i, c.ID, what))
		}
		switch {
		case c.ID == "":
			wrong("the ID is missing")
		case ids[c.ID]:
			wrong("another one has this ID")
		}
		ids[c.ID] = true
		if utf8.RuneCountInString(c.Secret) < minClientSecret {
			wrong(fmt.Sprintf("the Secret needs %d characters or more; make one with: openssl rand -base64 32", minClientSecret))
		}
		if slices.Contains(c.Resources, "") {
			wrong("Resources holds an empty value: name an audience, or leave the list nil")
		}
	}
	return problems
}

// resourceServer finds out who asks, by the Authorization header or by the form (RFC 6749
// 2.3.1).
func (a *Auth) resourceServer(r *http.Request, p params) (Client, error) {
	id, secret := p.values.Get("client_id"), p.values.Get("client_secret")
	if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Basic") {
		if secret != "" {
			return Client{}, ErrInvalidRequest.because("The client credentials were sent in two ways.")
		}
		named := id
		id, secret = basicCredentials(r)
		if named != "" && named != id {
			return Client{}, errResourceServer
		}
	}
	return findClient(a.config.Broker.ResourceServers, id, secret)
}

var errResourceServer = ErrInvalidClient.because("The client credentials are missing or wrong.").as(formBasic)

// findClient gives the client with these credentials. It takes the same time for an unknown
// id as for a wrong secret, so that nobody finds out which ids there are.
func findClient(clients []Client, id, secret string) (Client, error) {
	sent, found := proof(id, secret), -1
	for i, c := range clients {
		known := proof(c.ID, c.Secret)
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sent[:], known[:]), i, found)
	}
	if found < 0 {
		return Client{}, errResourceServer
	}
	return clients[found], nil
}

// proof hashes credentials, so that all have one length.
func proof(id, secret string) [sha256.Size]byte {
	first, second := sha256.Sum256([]byte(id)), sha256.Sum256([]byte(secret))
	return sha256.Sum256(append(first[:], second[:]...))
}
