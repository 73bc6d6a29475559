package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/auth0/go-jwt-middleware/v2/jwks"
	"github.com/auth0/go-jwt-middleware/v2/validator"
	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-chi/jwtauth/v5"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v2/jwk"
	jwxjwt "github.com/lestrrat-go/jwx/v2/jwt"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// Names of the peers.
const (
	nameGoOIDC     = "coreos/go-oidc"
	nameZitadel    = "zitadel/oidc"
	nameAuth0      = "auth0/go-jwt-middleware"
	nameGolangJWT  = "golang-jwt with keyfunc"
	nameJWX        = "lestrrat-go/jwx"
	nameChiJWTAuth = "go-chi/jwtauth"
)

// person is what an application reads of a token.
type person struct {
	Subject     string `json:"sub"`
	Email       string `json:"email"`
	RealmAccess struct {
		Roles []string `json:"roles"`
	} `json:"realm_access"`
}

// verifier is a library that was set up to verify the tokens of an issuer.
type verifier struct {
	name string
	// subject verifies a token and tells its subject, with no more of the claims
	// decoded than the library insists on.
	subject func(raw string) (string, error)
	// person verifies a token and tells what an application reads of it.
	person func(raw string) (person, error)
	// static says that the library is given a key and never fetches any.
	static bool
}

// setUp makes a verifier for the tokens of an algorithm. What it starts in the
// background ends with the context.
type setUp func(ctx context.Context, i *issuer, algorithm string) (verifier, error)

// peers are set up as their documentation shows it for the tokens of one issuer
// for one audience, with as little leeway as each has by itself.
var peers = []setUp{goOIDC, zitadelOIDC, auth0, golangJWT, jwx, chiJWTAuth}

// goOIDC takes the token for an ID token, as it takes every JWT: issuer, audience,
// exp and nbf are checked, the latter with five minutes of leeway; iat is not. An
// unknown kid or a signature that does not match is worth a fetch each time.
func goOIDC(ctx context.Context, i *issuer, algorithm string) (verifier, error) {
	provider, err := gooidc.NewProvider(ctx, i.url)
	if err != nil {
		return verifier{}, err
	}
	v := provider.Verifier(&gooidc.Config{ClientID: audience, SupportedSigningAlgs: []string{algorithm}})
	return verifier{
		name: nameGoOIDC,
		subject: func(raw string) (string, error) {
			token, err := v.Verify(ctx, raw)
			if err != nil {
				return "", err
			}
			return token.Subject, nil
		},
		person: func(raw string) (p person, err error) {
			token, err := v.Verify(ctx, raw)
			if err != nil {
				return p, err
			}
			return p, token.Claims(&p)
		},
	}, nil
}

// zitadelOIDC has a verifier for access tokens, which checks issuer and exp, and
// neither audience nor nbf. It always decodes all claims, twice: into a struct and
// into a map.
func zitadelOIDC(ctx context.Context, i *issuer, algorithm string) (verifier, error) {
	v := op.NewAccessTokenVerifier(i.url, rp.NewRemoteKeySet(http.DefaultClient, i.keySetURL()), op.WithSupportedAccessTokenSigningAlgorithms(algorithm))
	verify := func(raw string) (*oidc.AccessTokenClaims, error) {
		return op.VerifyAccessToken[*oidc.AccessTokenClaims](ctx, raw, v)
	}
	return verifier{
		name: nameZitadel,
		subject: func(raw string) (string, error) {
			claims, err := verify(raw)
			if err != nil {
				return "", err
			}
			return claims.Subject, nil
		},
		person: func(raw string) (person, error) {
			claims, err := verify(raw)
			if err != nil {
				return person{}, err
			}
			return fromMap(func(name string) any { return claims.Claims[name] }), nil
		},
	}, nil
}

// customClaims are a person for auth0, which wants to ask it.
type customClaims struct{ person }

func (*customClaims) Validate(context.Context) error { return nil }

// auth0TTL is how long auth0 keeps a key set.
const auth0TTL = 5 * time.Minute

// auth0 checks issuer, audience, exp, nbf and iat. It has one algorithm, keeps the
// key set for auth0TTL, and looks at no kid that is not in it.
func auth0(ctx context.Context, i *issuer, algorithm string) (verifier, error) {
	return auth0With(ctx, i, algorithm, auth0TTL)
}

func auth0Validator(i *issuer, algorithm string, ttl time.Duration, options ...validator.Option) (*validator.Validator, error) {
	address, err := url.Parse(i.url)
	if err != nil {
		return nil, err
	}
	return validator.New(jwks.NewCachingProvider(address, ttl).KeyFunc, validator.SignatureAlgorithm(algorithm), i.url, []string{audience}, options...)
}

func auth0With(ctx context.Context, i *issuer, algorithm string, ttl time.Duration) (verifier, error) {
	plain, err := auth0Validator(i, algorithm, ttl)
	if err != nil {
		return verifier{}, err
	}
	custom, err := auth0Validator(i, algorithm, ttl, validator.WithCustomClaims(func() validator.CustomClaims { return &customClaims{} }))
	if err != nil {
		return verifier{}, err
	}
	return verifier{
		name: nameAuth0,
		subject: func(raw string) (string, error) {
			claims, err := plain.ValidateToken(ctx, raw)
			if err != nil {
				return "", err
			}
			return claims.(*validator.ValidatedClaims).RegisteredClaims.Subject, nil
		},
		person: func(raw string) (person, error) {
			claims, err := custom.ValidateToken(ctx, raw)
			if err != nil {
				return person{}, err
			}
			return claims.(*validator.ValidatedClaims).CustomClaims.(*customClaims).person, nil
		},
	}, nil
}

// golangJWT has its keys from keyfunc. It checks exp and nbf, and because it is
// told to, issuer, audience and the presence of exp; iat is not. keyfunc fetches
// for an unknown kid once in five minutes, and every hour.
func golangJWT(ctx context.Context, i *issuer, algorithm string) (verifier, error) {
	return golangJWTWith(ctx, i, algorithm, time.Hour)
}

func golangJWTWith(ctx context.Context, i *issuer, algorithm string, refresh time.Duration) (verifier, error) {
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{i.keySetURL()}, keyfunc.Override{RefreshInterval: refresh})
	if err != nil {
		return verifier{}, err
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{algorithm}), jwt.WithIssuer(i.url), jwt.WithAudience(audience), jwt.WithExpirationRequired())
	return verifier{
		name: nameGolangJWT,
		subject: func(raw string) (string, error) {
			var claims jwt.RegisteredClaims
			_, err := parser.ParseWithClaims(raw, &claims, keys.Keyfunc)
			return claims.Subject, err
		},
		person: func(raw string) (person, error) {
			var claims struct {
				jwt.RegisteredClaims
				Email       string `json:"email"`
				RealmAccess struct {
					Roles []string `json:"roles"`
				} `json:"realm_access"`
			}
			_, err := parser.ParseWithClaims(raw, &claims, keys.Keyfunc)
			return person{claims.Subject, claims.Email, claims.RealmAccess}, err
		},
	}, nil
}

// jwx checks exp, nbf and iat, and because it is told to, issuer and audience. It
// always decodes all claims. Its key set is fetched in the background, at least
// every hour here, and never because of a token.
func jwx(ctx context.Context, i *issuer, _ string) (verifier, error) {
	cache := jwk.NewCache(ctx)
	if err := cache.Register(i.keySetURL()); err != nil {
		return verifier{}, err
	}
	if _, err := cache.Refresh(ctx, i.keySetURL()); err != nil {
		return verifier{}, err
	}
	keys := jwk.NewCachedSet(cache, i.keySetURL())
	return jwxVerifier(nameJWX, func(raw string) (jwxjwt.Token, error) {
		return jwxjwt.ParseString(raw, jwxjwt.WithKeySet(keys), jwxjwt.WithIssuer(i.url), jwxjwt.WithAudience(audience))
	}), nil
}

// chiJWTAuth is jwx with one key, which it is given: whoever uses it fetches and
// rotates keys himself. Issuer and audience are checked because it is told to.
func chiJWTAuth(_ context.Context, i *issuer, algorithm string) (verifier, error) {
	auth := chiJWTAuthOf(i, algorithm)
	v := jwxVerifier(nameChiJWTAuth, func(raw string) (jwxjwt.Token, error) { return jwtauth.VerifyToken(auth, raw) })
	v.static = true
	return v, nil
}

func chiJWTAuthOf(i *issuer, algorithm string) *jwtauth.JWTAuth {
	return jwtauth.New(algorithm, nil, i.keys[algorithm].Public(), jwxjwt.WithIssuer(i.url), jwxjwt.WithAudience(audience))
}

func jwxVerifier(name string, verify func(raw string) (jwxjwt.Token, error)) verifier {
	return verifier{
		name: name,
		subject: func(raw string) (string, error) {
			token, err := verify(raw)
			if err != nil {
				return "", err
			}
			return token.Subject(), nil
		},
		person: func(raw string) (person, error) {
			token, err := verify(raw)
			if err != nil {
				return person{}, err
			}
			p := fromMap(func(name string) any { value, _ := token.Get(name); return value })
			if p.Subject != token.Subject() {
				return person{}, errors.New("the subject is not among the claims")
			}
			return p, nil
		},
	}
}

// fromMap reads a person where all claims are decoded already.
func fromMap(claim func(name string) any) person {
	var p person
	p.Subject, _ = claim("sub").(string)
	p.Email, _ = claim("email").(string)
	access, _ := claim("realm_access").(map[string]any)
	roles, _ := access["roles"].([]any)
	for _, role := range roles {
		name, _ := role.(string)
		p.RealmAccess.Roles = append(p.RealmAccess.Roles, name)
	}
	return p
}
