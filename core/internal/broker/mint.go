package broker

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
)

// tokenType is the typ of minted tokens (RFC 9068 2.1).
const tokenType = "at+jwt"

// mintedClaims are the claims of an access token of ours (RFC 9068 2.2).
type mintedClaims struct {
	Issuer         string   `json:"iss"`
	Subject        string   `json:"sub"`
	Audience       any      `json:"aud"` // one text, or several
	Expires        int64    `json:"exp"`
	IssuedAt       int64    `json:"iat"`
	ID             string   `json:"jti"`
	Session        string   `json:"sid,omitzero"` // none after a token exchange
	ClientID       string   `json:"client_id"`
	ProviderIssuer string   `json:"idp_iss,omitzero"` // none of a subject of our own
	AuthTime       int64    `json:"auth_time,omitzero"`
	ACR            string   `json:"acr,omitzero"`
	AMR            []string `json:"amr,omitzero"`
	Username       string   `json:"preferred_username,omitzero"`
	Name           string   `json:"name,omitzero"`
	Email          string   `json:"email,omitzero"`
	EmailVerified  *bool    `json:"email_verified,omitzero"`
	Roles          []string `json:"roles"`
	Scope          string   `json:"scope"`
	// Actor is who acts for the subject (RFC 8693 4.1).
	Actor jsontext.Value `json:"act,omitzero"`

	Extra jsontext.Value `json:",embed"`
}

// actClaim is the claim act (RFC 8693 4.1).
type actClaim struct {
	Actor  `json:",embed"`
	Before jsontext.Value `json:"act,omitzero"`
}

// brokerClaims are the claims that Identify can't set in Extra: those above, and
// those that would make the token look like another kind of token.
var brokerClaims = []string{
	"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "client_id", "azp", "idp_iss", "auth_time", "acr", "amr",
	"preferred_username", "name", "email", "email_verified", "roles", "scope", "scp",
	"typ", "token_use", "nonce", "at_hash", "c_hash", "events", "act", "cnf",
}

// minting is what an access token is made of.
type minting struct {
	who     remembered
	issuer  string // whose subject it is, the provider; "": the application's own
	subject string
	wanted  Narrowing
	session string
	actor   jsontext.Value // of the token that it is exchanged for, a JSON object; nil: none
	expires time.Time
}

// scope is the scope of the token.
func (m minting) scope() string { return strings.Join(m.wanted.scopesOf(m.who.Scopes), " ") }

// mint makes an access token.
func (b *Broker) mint(keys keyring, m minting) (string, error) {
	payload, err := b.payload(m)
	if err != nil {
		return "", err
	}
	return keys.signing(b.Now()).Sign(tokenType, payload)
}

// payload makes the claims of an access token, and refuses those of a token that
// would be too large for the guards.
func (b *Broker) payload(m minting) ([]byte, error) {
	id, err := b.random()
	if err != nil {
		return nil, err
	}
	who := m.who
	issued := b.Now()
	if b.PythonPeers {
		issued = issued.Add(-clockMargin)
	}
	audiences := m.wanted.Audiences
	if audiences == nil {
		audiences = b.Audiences()
	}
	c := mintedClaims{
		Issuer: b.PublicURL, Subject: m.subject, Audience: audiences,
		Expires: m.expires.Unix(), IssuedAt: issued.Unix(), ID: id[:22],
		Session: m.session, ClientID: who.Client, ProviderIssuer: m.issuer,
		AuthTime: who.AuthTime, ACR: who.ACR, AMR: who.AMR,
		Username: who.Username, Name: who.Name, Email: who.Email,
		Roles: who.Roles, Scope: m.scope(),
		Actor: m.actor, Extra: who.Extra,
	}
	if who.Actor != nil { // who acts now is outermost, and for those who acted before
		if c.Actor, err = json.Marshal(actClaim{*who.Actor, m.actor}); err != nil {
			return nil, identityError(err)
		}
	}
	if b.SubjectIsUsername {
		c.Subject = who.Username
	}
	if err := claim.CheckSubject(c.Subject); err != nil {
		return nil, identityError(fmt.Errorf("the subject %w", err))
	}
	if len(audiences) == 1 {
		c.Audience = audiences[0] // what the most verifiers understand
	}
	if who.Email != "" {
		c.EmailVerified = &who.EmailVerified
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return nil, identityError(err)
	}
	if base64.RawURLEncoding.EncodedLen(len(payload)) > MaxToken-maxEnvelope {
		return nil, identityError(errors.New("the access token would be larger than the 16 KiB that guards accept: leave some roles or claims out"))
	}
	return payload, nil
}

// maxEnvelope is what header and signature add to a token at most, in bytes.
const maxEnvelope = 512

// Mint makes an access token without a login, for some audiences or, for none, for all.
// A lifetime of 0 is the usual one.
func (b *Broker) Mint(ctx context.Context, who Identity, audiences []string, lifetime time.Duration) (string, error) {
	lifetime = cmp.Or(lifetime, b.TokenLifetime)
	if lifetime < time.Second || lifetime > MaxTokenLifetime {
		return "", fmt.Errorf("core.MintOptions: a Lifetime of %s is out of bounds: use a second to a day", lifetime)
	}
	for _, audience := range audiences {
		if !slices.Contains(b.Audiences(), audience) {
			return "", fault.InvalidTarget.New("The audience is not one that this service issues tokens for.").From(fmt.Errorf("%q is neither Broker.Audience nor in Broker.Resources or Broker.PeerAudiences", audience))
		}
	}
	known, err := b.remember(evidence{}, who)
	if err != nil {
		return "", err
	}
	m := minting{
		who: known, issuer: who.Issuer, subject: who.Subject, wanted: Narrowing{Audiences: audiences},
		expires: b.Now().Add(lifetime),
	}
	if err := b.permit(m, who.Claims); err != nil {
		return "", err
	}
	keys, err := b.keys.Get(ctx)
	if err != nil {
		return "", err
	}
	return b.mint(keys, m)
}
