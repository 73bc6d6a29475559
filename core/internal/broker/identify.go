package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/provider"
	"github.com/oidcgate/oidcgate/core/internal/text"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// evidence is what the provider has told about a user, all of it verified.
type evidence struct {
	why     Occasion
	session string // "": there is none
	client  string // for whom
	device  Device
	browser bool
	subject string
	id      *claim.Set // nil: no ID token
	idToken string
	stale   bool       // the ID token is one of an earlier answer
	access  *claim.Set // nil: its access token is not a JWT that we can read
	raw     string     // the access token, to ask userinfo with
	granted string     // the scope
	nonce   string
	before  *remembered    // of the session at a refresh; nil: at anything else
	told    map[string]any // by userinfo; nil: nothing
	actor   jsontext.Value // as the token of an exchange has it; nil: nobody
}

// identify finds out what tokens will say about a user. Before it asks anybody
// else, it calls save, which may fail.
func (b *Broker) identify(ctx context.Context, e evidence, save func() error) (remembered, error) {
	if err := b.askUserinfo(ctx, &e, save); err != nil {
		return remembered{}, err
	}
	all := merge(e.idClaims(), e.told, e.accessClaims())
	who := newIdentity(all, b.ProfilePaths)
	who.Occasion, who.SessionID = e.why, e.session
	who.Issuer, who.Subject = b.Provider.Issuer, e.subject
	who.Roles = b.rolesOf(ctx, e)
	who.Scopes = text.Words(e.granted)
	who.Email, who.EmailVerified = emailOf(b.ProfilePaths, e.accessClaims(), e.told, e.idClaims())
	if b.Options.Identify != nil {
		if err := save(); err != nil {
			return remembered{}, err
		}
		if err := b.callIdentify(ctx, &who, e.before != nil); err != nil {
			return remembered{}, err
		}
	}
	known, err := b.remember(e, who)
	if err != nil {
		return remembered{}, err
	}
	return known, b.permit(minting{who: known, issuer: b.Provider.Issuer, subject: e.subject, session: e.session, actor: e.actor}, all)
}

func (e *evidence) idClaims() map[string]any { return e.id.All() }

func (e *evidence) accessClaims() map[string]any { return e.access.All() }

// freshClaims are those of the ID token, if it is of the same answer as the access token.
func (e *evidence) freshClaims() map[string]any {
	if e.stale {
		return nil
	}
	return e.idClaims()
}

// askUserinfo asks the provider for what its tokens leave out: who the user is, if the
// access token can't be read or names nobody, the username, and the roles. An endpoint
// that refuses or fails costs nothing that the tokens tell already.
func (b *Broker) askUserinfo(ctx context.Context, e *evidence, save func() error) error {
	tokens := merge(e.idClaims(), e.accessClaims())
	username := claim.ReadProfile(tokens, b.ProfilePaths).Username
	roles := claim.RolePaths(b.RoleClaims)
	vouched := e.access != nil && (e.access.Subject != "" || !e.stale)
	if vouched && username != "" && roles.AreIn(e.accessClaims()) {
		return nil
	}
	if err := save(); err != nil {
		return err
	}
	told, err := b.Provider.Userinfo(ctx, e.raw, e.subject)
	if err == nil {
		b.Note(ctx, userinfoFails, nil)
		e.told = told
		return nil
	}
	judged := b.Options.Identify != nil || len(b.Require) > 0
	complete := username != "" && (roles.AreIn(e.accessClaims()) || roles.AreIn(e.freshClaims()))
	needed := b.SubjectIsUsername && username == "" || len(b.Require) > 0
	before := e.before
	toldBefore := before != nil && before.Userinfo
	if toldBefore {
		// Nobody must be refused for what is only missing at the moment.
		email, _ := emailOf(b.ProfilePaths, e.accessClaims(), e.idClaims())
		complete = complete && !judged && (email != "" || before.Email == "")
		needed = true
	}
	refused := errors.Is(err, fault.InvalidToken) || errors.Is(err, fault.InsufficientScope)
	switch {
	case errors.Is(err, provider.ErrOtherSubject):
		return err
	case refused && toldBefore && judged:
		return fault.Provider.New("The provider does not tell any more who the user is.").
			From(fmt.Errorf("%w; it did at the login: let this client's access tokens read the userinfo endpoint", err))
	case refused:
		return nil // a token that lacks the scope openid, say, and is valid otherwise
	case !complete && (needed || errors.Is(err, fault.Unavailable)):
		return err
	}
	b.Note(ctx, userinfoFails, err)
	return nil
}

// userinfoFails is what the log calls requests to userinfo whose failure ends no login.
const userinfoFails = "the provider's userinfo endpoint, without which logins go on"

// rolesOf finds out what a user may do. One source says it, the one meant for that: were
// they mixed, a role that the access token has lost would live on in an ID token of the
// first day. An access token that has none of the claims is silent about roles, and then
// what was said at the same time counts.
func (b *Broker) rolesOf(ctx context.Context, e evidence) []string {
	roles := claim.RolePaths(b.RoleClaims)
	access, id := e.accessClaims(), e.freshClaims()
	source, from := access, "the access token"
	if !roles.AreIn(access) {
		source = merge(id, e.told)
		switch inID, inTold := roles.AreIn(id), roles.AreIn(e.told); {
		case inID && inTold:
			from = "the ID token and userinfo"
		case inID:
			from = "the ID token"
		case inTold:
			from = "userinfo"
		default:
			from = "nowhere: if this provider has roles, name their claims in Provider.RoleClaims"
		}
	}
	if _, known := b.rolesFrom.LoadOrStore(from, true); !known {
		b.Logger.InfoContext(ctx, "roles of users come from a source not seen before", "from", from)
	}
	return roles.In(source)
}

// merge gives the claims of all the sources, those of later ones first.
func merge(sources ...map[string]any) map[string]any {
	all := map[string]any{}
	for _, source := range sources {
		maps.Copy(all, source)
	}
	return all
}

// newIdentity reads a provider's claims.
func newIdentity(all map[string]any, paths []string) Identity {
	who := claim.ReadProfile(all, paths)
	return Identity{
		Claims: all, Extra: map[string]any{}, Name: who.Name,
		Username: who.Username, FirstName: who.FirstName, LastName: who.LastName,
	}
}

// emailOf finds the user's e-mail address in the first source that has one, and
// whether that same source vouches for it.
func emailOf(paths []string, sources ...map[string]any) (email string, verified bool) {
	for _, source := range sources {
		if found := claim.ReadProfile(source, paths); found.Email != "" {
			return found.Email, found.EmailVerified != nil && *found.EmailVerified
		}
	}
	return "", false
}

// callIdentify asks the application.
func (b *Broker) callIdentify(ctx context.Context, who *Identity, refresh bool) error {
	ctx, cancel := context.WithTimeout(ctx, b.Timeout)
	defer cancel()
	err := fault.Catch(b.Logger, "Broker.Identify", func() error { return b.Options.Identify(ctx, who) })
	if err == nil || errors.Is(err, fault.AccessDenied) {
		b.Note(ctx, failingIdentify, nil)
		return err
	}
	// As text: the Status of an Error would decide whether it is logged.
	b.Note(ctx, failingIdentify, fmt.Errorf("%v", err))
	if refresh || errors.Is(err, fault.Unavailable) {
		return fault.Unavailable.New("The application can't tell at the moment whether this user may go on.").From(err).Soon()
	}
	return fault.AccessDenied.New("The application does not let this user in.").From(err)
}

const failingIdentify = "Broker.Identify, which refuses a user once and for all by core.Refuse"

// identityError is for an identity that no token can be made of, which the
// application mends in its Identify.
func identityError(cause error) error {
	return fault.Internal.New("No token can be made for this user; the application's operator knows more.").
		From(fmt.Errorf("see Broker.Identify: %w", cause))
}

// permit makes sure that a token can be minted, and may be: Options.Require must hold for
// what it will say, and for what the provider says where it will say nothing.
func (b *Broker) permit(m minting, provider map[string]any) error {
	payload, err := b.payload(m)
	if err != nil || len(b.Require) == 0 {
		return err
	}
	var minted map[string]any
	if err := json.Unmarshal(payload, &minted); err != nil {
		return identityError(err)
	}
	said := claim.Of(m.who.Scopes, merge(provider, minted))
	token := verify.NewToken(said, &verify.Verifier{Roles: b.own.Roles})
	if failure := verify.Judge(token, b.Require); failure != nil {
		return fault.AccessDenied.New(failure.Reason)
	}
	return nil
}
