package trust

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/address"
	"github.com/oidcgate/oidcgate/core/internal/claim"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/fetch"
	"github.com/oidcgate/oidcgate/core/internal/jose"
	"github.com/oidcgate/oidcgate/core/internal/provider"
	"github.com/oidcgate/oidcgate/core/internal/text"
	"github.com/oidcgate/oidcgate/core/internal/verify"
)

// maxIssuerRSABits bounds the RSA keys of further issuers. One of them must not be able
// to make each request with a token of its own costly.
const maxIssuerRSABits = 4096

// Issuer is a further issuer, and what its tokens are valid for here.
type Issuer struct {
	URL, JWKSURL string
	Audiences    []string // nil: those of the own verifier
	Algorithms   []string // nil: every asymmetric one
	Require      []verify.Rule
	Roles        func(asserted []string) []string // nil: none
	Scopes       func(asserted []string) []string // nil: as they are
}

// furtherIssuer is a further issuer with its verifier and its keys.
type furtherIssuer struct {
	Issuer
	*verify.Verifier
	document *fetch.Document[jose.KeySet]
}

// newFurtherIssuer makes the verifier of an issuer, whose tokens are meant for the
// same audiences as those of the guards' own, unless it names others.
func (t *Trust) newFurtherIssuer(issuer Issuer) *furtherIssuer {
	own := t.Own
	f := &furtherIssuer{Issuer: issuer}
	f.document = &fetch.Document[jose.KeySet]{
		Name: "key set of " + issuer.URL, Down: errIssuerDown, Replace: jose.KeySet.Replace,
		Load: func(ctx context.Context) (jose.KeySet, time.Duration, error) {
			keys, fresh, err := t.loadIssuer(ctx, issuer)
			if errors.Is(err, fault.Unavailable) {
				err = errIssuerDown.From(fault.CauseOf(err))
			}
			return keys, fresh, err
		},
		Now: t.Now, Tasks: t.Tasks, Logger: t.Logger,
	}
	if t.Changed != nil {
		f.document.Changed = func(err error) { t.Changed(issuer.URL, err) }
	}
	if t.Keep != nil {
		t.Keep(issuer.URL, issuer.JWKSURL, maxIssuerRSABits, f.document)
	}
	f.Verifier = &verify.Verifier{
		Issuer: verify.NewIssuerName(issuer.URL), Keys: f.document, Algorithms: issuer.Algorithms,
		Audience: own.Audience, ClientID: own.ClientID, Leeway: own.Leeway, Now: own.Now,
		Require: issuer.Require,
		Roles: func(claims map[string]any) []string {
			return t.mapped("Issuer.Roles of "+issuer.URL, issuer.Roles, own.Roles(claims))
		},
	}
	if issuer.Scopes != nil {
		f.Verifier.Scopes = func(asserted []string) []string {
			return t.mapped("Issuer.Scopes of "+issuer.URL, issuer.Scopes, slices.Clone(asserted))
		}
	}
	if issuer.Audiences != nil {
		f.Verifier.Audience = own.Audience.With(issuer.Audiences)
	}
	return f
}

// mapped is what the application makes of roles or scopes that an issuer asserts, each
// once and sorted: nothing without a mapping, and after a panic.
func (t *Trust) mapped(what string, mapping func([]string) []string, asserted []string) []string {
	if mapping == nil {
		return nil
	}
	var list []string
	_ = fault.Catch(t.Logger, what, func() error {
		list = slices.Clone(mapping(asserted))
		return nil
	})
	slices.Sort(list)
	return slices.Compact(list)
}

// errIssuerDown is the error for a further issuer that can't be reached.
var errIssuerDown = fault.Unavailable.New("The issuer of the token can't be reached at the moment.").Soon()

// loadIssuer fetches a further issuer's keys, from where its discovery document
// says (OpenID Connect Discovery 4), or a peer's from where peers have them.
func (t *Trust) loadIssuer(ctx context.Context, issuer Issuer) (jose.KeySet, time.Duration, error) {
	if issuer.JWKSURL != "" {
		return provider.FetchKeys(ctx, t.Provider.HTTP, issuer.JWKSURL, maxIssuerRSABits)
	}
	location, notFound := t.findKeys(ctx, issuer.URL)
	switch {
	case notFound == nil:
		return provider.FetchKeys(ctx, t.Provider.HTTP, location, maxIssuerRSABits)
	case errors.Is(notFound, fault.Unavailable), !t.Brokers:
		return nil, 0, notFound
	}
	// A broker of py-oidc-auth has no such document, and what is there may be of
	// another program on the same host.
	keys, fresh, err := provider.FetchKeys(ctx, t.Provider.HTTP, strings.TrimSuffix(issuer.URL, "/")+PeerKeys, maxIssuerRSABits)
	switch {
	case err == nil && errors.Is(notFound, errOtherIssuer):
		t.Logger.Warn("a peer's keys are where its metadata is of another issuer: its tokens may have that one in iss", "issuer", issuer.URL, "reason", fault.CauseOf(notFound))
	case err != nil && !errors.Is(err, fault.Unavailable):
		err = fault.Provider.New("The issuer's keys can't be found.").From(fmt.Errorf("%w; %w", fault.CauseOf(notFound), fault.CauseOf(err)))
	}
	return keys, fresh, err
}

// errOtherIssuer is the error for a discovery document that is about somebody else.
var errOtherIssuer = errors.New("if that is the one you trust, write exactly this")

// PeerKeys is where a broker publishes its keys, unless it says otherwise.
const PeerKeys = "/auth/v2/.well-known/jwks.json"

// findKeys reads in an issuer's discovery document where its keys are.
func (t *Trust) findKeys(ctx context.Context, issuer string) (string, error) {
	document := strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
	res, err := provider.Fetch(ctx, t.Provider.HTTP, document)
	if err != nil {
		return "", err
	}
	nonsense := func(format string, args ...any) error {
		return fault.Provider.New("The issuer's discovery document can't be used.").From(fmt.Errorf("%s: "+format, append([]any{document}, args...)...))
	}
	var m struct {
		Issuer  string `json:"issuer"`
		KeysURL string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(res.Body, &m); err != nil {
		return "", nonsense("it is not a JSON object")
	}
	if m.Issuer != issuer {
		return "", nonsense("it is of issuer %s: %w", text.Excerpt(m.Issuer), errOtherIssuer)
	}
	if err := address.Check(m.KeysURL, t.InsecureHTTP); err != nil {
		return "", nonsense("its jwks_uri %s %w", text.Excerpt(m.KeysURL), err)
	}
	// A provider's keys may be at another host, as Google's are. A peer's have no reason
	// to.
	keys, errKeys := url.Parse(m.KeysURL)
	home, errHome := url.Parse(issuer)
	elsewhere := errors.Join(errKeys, errHome) != nil || address.Origin(keys) != address.Origin(home)
	switch {
	case elsewhere && t.Brokers:
		return "", nonsense("its jwks_uri %s is at another host", text.Excerpt(m.KeysURL))
	case address.LeadsInside(m.KeysURL, issuer):
		return "", nonsense("its jwks_uri %s is inside a private network, where the issuer is not: if it is right, set Issuer.JWKSURL to it", text.Excerpt(m.KeysURL))
	}
	return m.KeysURL, nil
}

// issuers are the further issuers, by their names.
type issuers struct {
	all      []*furtherIssuer // in the order of the configuration
	exact    map[string]*verify.Verifier
	patterns []*verify.Verifier
}

func (t *Trust) newIssuers(list []Issuer) *issuers {
	s := &issuers{exact: map[string]*verify.Verifier{}}
	for _, issuer := range list {
		f := t.newFurtherIssuer(issuer)
		s.all = append(s.all, f)
		if f.Verifier.Issuer.Pattern {
			s.patterns = append(s.patterns, f.Verifier)
		} else {
			s.exact[issuer.URL] = f.Verifier
		}
	}
	return s
}

// of finds the verifier for a token, nil when there is none.
func (s *issuers) of(c *claim.Set) *verify.Verifier {
	if v := s.exact[c.Issuer]; v != nil {
		return v
	}
	for _, v := range s.patterns {
		if v.Issuer.Names(c) {
			return v
		}
	}
	return nil
}

// SetIssuers puts another list of further issuers in the place of the one before, and tells
// by their URLs which are new and which are gone. It waits for no call.
func (t *Trust) SetIssuers(list []Issuer) (added, removed []string) {
	t.changing.Lock()
	defer t.changing.Unlock()
	next, before := t.newIssuers(list), t.further.Load()
	// Tokens that were verified by an issuer's old rules end with the keys that they
	// were verified by, so that keys which stay go over as copies.
	for _, old := range before.all {
		past := old.document.Retire()
		i := slices.IndexFunc(next.all, func(f *furtherIssuer) bool { return f.URL == old.URL && f.JWKSURL == old.JWKSURL })
		if i < 0 {
			continue
		}
		next.all[i].document.Adopt(past, jose.KeySet.Clone)
	}
	t.further.Store(next)
	if t.started.Load() {
		t.fetchKeysOf(next)
	}
	return next.without(before), before.without(next)
}

// without are the URLs of s that the others lack.
func (s *issuers) without(others *issuers) []string {
	var urls []string
	for _, f := range s.all {
		if !slices.ContainsFunc(others.all, func(o *furtherIssuer) bool { return o.URL == f.URL }) {
			urls = append(urls, f.URL)
		}
	}
	return urls
}

// fetchKeysOf has the keys of issuers fetched in the background that are not there yet.
func (t *Trust) fetchKeysOf(s *issuers) {
	go t.Tasks.Do(func(context.Context) error {
		for _, f := range s.all {
			if f.document.Empty() {
				f.document.Refresh()
			}
		}
		return nil
	})
}

// Start has the keys of further issuers fetched in the background, from now on before the
// first token needs them.
func (t *Trust) Start() {
	t.started.Store(true)
	t.fetchKeysOf(t.further.Load())
}

// Outcomes tell how fetching the keys of each further issuer is going.
func (t *Trust) Outcomes() map[string]fetch.Outcome {
	outcomes := map[string]fetch.Outcome{}
	for _, f := range t.further.Load().all {
		outcomes[f.URL] = f.document.Outcome()
	}
	return outcomes
}
