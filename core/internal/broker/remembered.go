package broker

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/session"
	"github.com/oidcgate/oidcgate/core/internal/vault"
)

// remembered is what a session keeps of a user and his login: what tokens are
// minted from, and what a refresh is held against.
type remembered struct {
	Username      string   `json:"username,omitzero"`
	FirstName     string   `json:"first_name,omitzero"`
	LastName      string   `json:"last_name,omitzero"`
	Name          string   `json:"name,omitzero"`
	Email         string   `json:"email,omitzero"`
	EmailVerified bool     `json:"email_verified,omitzero"`
	Roles         []string `json:"roles,omitzero"`
	Scopes        []string `json:"scopes,omitzero"`
	// Extra is kept as it was written: numbers would come back with fewer digits.
	Extra    jsontext.Value `json:"extra,omitzero"`
	AuthTime int64          `json:"auth_time,omitzero"`
	ACR      string         `json:"acr,omitzero"`
	AMR      []string       `json:"amr,omitzero"`

	Device  Device `json:"device,omitzero"`  // of the login
	Browser bool   `json:"browser,omitzero"` // its user has a cookie

	Client   string `json:"client"`            // its id
	Provider string `json:"provider,omitzero"` // its name

	Granted string `json:"granted,omitzero"`  // the scope, as the provider has it
	IDToken string `json:"id_token,omitzero"` // the last one that was verified
	Nonce   string `json:"nonce,omitzero"`    // of the login

	Access providerAccess `json:"access,omitzero"` // the provider's access token

	Actor *Actor `json:"actor,omitzero"` // nil: nobody acts for the user

	Userinfo bool `json:"userinfo,omitzero"` // userinfo has told something
}

// remember makes what the session keeps of an identity that Identify has seen.
func (b *Broker) remember(e evidence, who Identity) (remembered, error) {
	for name := range who.Extra {
		// Many a JSON decoder takes names for the same that differ in case.
		if slices.ContainsFunc(brokerClaims, func(own string) bool { return strings.EqualFold(own, name) }) {
			return remembered{}, identityError(fmt.Errorf("it set the claim %q in Extra, which the broker itself sets", name))
		}
	}
	if b.SubjectIsUsername && who.Username == "" {
		if e.before != nil { // it knew one at the login
			return remembered{}, fault.Unavailable.New("The provider tells no username at the moment.").Soon()
		}
		return remembered{}, fault.AccessDenied.New("The provider tells no username for this user.")
	}
	if who.Actor != nil {
		if err := claim.CheckSubject(who.Actor.Subject); err != nil {
			return remembered{}, identityError(fmt.Errorf("the subject of the actor %w", err))
		}
	}
	known := remembered{
		Username: who.Username, FirstName: who.FirstName, LastName: who.LastName, Name: who.Name,
		Email: who.Email, EmailVerified: who.EmailVerified,
		Roles:  slices.Clone(who.Roles), // which may be a list of the application's own
		Scopes: slices.Clone(who.Scopes),
		Device: e.device.plain(), Browser: e.browser, Client: cmp.Or(e.client, b.ClientID), Provider: b.Provider.Name,
		Granted: e.granted, IDToken: e.idToken, Nonce: e.nonce, Actor: who.Actor,
		Userinfo: e.told != nil || e.before != nil && e.before.Userinfo,
	}
	slices.Sort(known.Roles)
	known.Roles = slices.Compact(known.Roles)
	if len(who.Extra) > 0 {
		var err error
		if known.Extra, err = json.Marshal(who.Extra, json.Deterministic(true)); err != nil {
			return remembered{}, identityError(err)
		}
	}
	for _, c := range []*claim.Set{e.id, e.access} {
		if c == nil {
			continue
		}
		if !c.AuthTime.IsZero() {
			known.AuthTime = c.AuthTime.Unix()
		}
		if acr := claim.Text(c.All()["acr"]); acr != "" {
			known.ACR = acr
		}
		if amr := claim.Texts(c.All()["amr"]); amr != nil {
			known.AMR = amr
		}
	}
	return known, nil
}

// recall gives what a session remembers.
func (b *Broker) recall(state session.State) (remembered, error) {
	var who remembered
	if err := json.Unmarshal(state.Content, &who); err != nil {
		return remembered{}, vault.ErrSealed.From(errors.New("store: a session is of another version of this program"))
	}
	who.Client = cmp.Or(who.Client, b.ClientID) // sessions of earlier versions name none
	return who, nil
}
