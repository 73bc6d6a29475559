package core

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/oidcgate/oidcgate/store"
)

// ConfigFromEnv reads a Config with one provider from environment variables, and reports every
// one that can't be read. What a Config can't have from text (HTTPClient,
// Logger, Observe, Require, what else a Broker has) is left for the program to set. Lists are separated
// by spaces or commas, durations are Go's (30s); an empty variable counts as
// not set.
//
//	OIDC_ISSUER            Issuer
//	OIDC_CLIENT_ID         ClientID
//	OIDC_CLIENT_SECRET     ClientSecret
//	OIDC_CLIENT_AUTH       ClientAuth: client_secret_basic or client_secret_post
//	OIDC_DISCOVERY_URL     DiscoveryURL
//	OIDC_JWKS_URL          JWKSURL
//	OIDC_PUBLIC_URL        PublicURL
//	OIDC_SCOPES            Scopes
//	OIDC_ALLOWED_SCOPES    AllowedScopes
//	OIDC_ONLINE_DEVICES    OnlineDevices: true or false
//	OIDC_AUTH_PARAMS       AuthParams, as a query: audience=api&access_type=offline
//	OIDC_LOGIN_PARAMS      LoginParams
//	OIDC_REDIRECT_URIS     RedirectURIs
//	OIDC_POST_LOGOUT_URIS  PostLogoutURIs
//	OIDC_SECRETS           Secrets
//	OIDC_STORE             Broker, with the Store that store.Open gives for this URL
//	OIDC_AUDIENCES         Audiences
//	OIDC_ROLE_CLAIMS       RoleClaims
//	OIDC_PROFILE_PATHS     ProfilePaths
//	OIDC_LEEWAY            Leeway
//	OIDC_TIMEOUT           Timeout
//
//	OIDC_AUTHORIZATION_ENDPOINT  Endpoints.Authorization
//	OIDC_TOKEN_ENDPOINT          Endpoints.Token
//	OIDC_USERINFO_ENDPOINT       Endpoints.Userinfo
//	OIDC_DEVICE_ENDPOINT         Endpoints.Device
//	OIDC_END_SESSION_ENDPOINT    Endpoints.EndSession
//	OIDC_REVOCATION_ENDPOINT     Endpoints.Revocation
//	OIDC_INTROSPECTION_ENDPOINT  Endpoints.Introspection
//
// OIDC_CLIENT_SECRET_FILE, OIDC_SECRETS_FILE and OIDC_STORE_FILE name files to
// read instead, as container platforms mount secrets. The switches that begin with Insecure have
// no variable: they belong in code that is reviewed.
func ConfigFromEnv() (Config, error) {
	var problems []error
	text := func(name string) string { return strings.TrimSpace(os.Getenv(name)) }
	list := func(name string) []string { return splitList(text(name)) }
	parsed := func(name string, parse func(string) error) {
		if value := text(name); value != "" {
			if err := parse(value); err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", name, err))
			}
		}
	}
	secret := func(name string) string {
		value, path := text(name), text(name+"_FILE")
		switch {
		case path == "":
			return value
		case value != "":
			problems = append(problems, fmt.Errorf("%s and %s_FILE are both set: set one of them", name, name))
			return ""
		}
		content, err := os.ReadFile(path)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s_FILE: %w", name, err))
		}
		return strings.TrimSpace(string(content))
	}

	config := Config{
		Providers: []Provider{{
			Issuer: text("OIDC_ISSUER"), ClientID: text("OIDC_CLIENT_ID"), ClientSecret: secret("OIDC_CLIENT_SECRET"),
			ClientAuth:   ClientAuth(text("OIDC_CLIENT_AUTH")),
			DiscoveryURL: text("OIDC_DISCOVERY_URL"), JWKSURL: text("OIDC_JWKS_URL"), Endpoints: Endpoints{
				Authorization: text("OIDC_AUTHORIZATION_ENDPOINT"), EndSession: text("OIDC_END_SESSION_ENDPOINT"),
				Token: text("OIDC_TOKEN_ENDPOINT"), Userinfo: text("OIDC_USERINFO_ENDPOINT"), Device: text("OIDC_DEVICE_ENDPOINT"),
				Revocation: text("OIDC_REVOCATION_ENDPOINT"), Introspection: text("OIDC_INTROSPECTION_ENDPOINT"),
			}, Scopes: list("OIDC_SCOPES"), AllowedScopes: list("OIDC_ALLOWED_SCOPES"), LoginParams: list("OIDC_LOGIN_PARAMS"), Audiences: list("OIDC_AUDIENCES"), RoleClaims: list("OIDC_ROLE_CLAIMS"), ProfilePaths: list("OIDC_PROFILE_PATHS"),
		}}, PublicURL: text("OIDC_PUBLIC_URL"),

		RedirectURIs: list("OIDC_REDIRECT_URIS"), PostLogoutURIs: list("OIDC_POST_LOGOUT_URIS"),
		Secrets: splitList(secret("OIDC_SECRETS")),
	}
	parsed("OIDC_ONLINE_DEVICES", func(value string) (err error) {
		if config.provider().OnlineDevices, err = strconv.ParseBool(value); err != nil {
			return fmt.Errorf("%q is not true or false", value)
		}
		return nil
	})
	parsed("OIDC_AUTH_PARAMS", func(value string) (err error) {
		if config.provider().AuthParams, err = url.ParseQuery(value); err != nil {
			return fmt.Errorf("%q is not in the form name=value&name=value", value)
		}
		return nil
	})
	for name, field := range map[string]*time.Duration{"OIDC_LEEWAY": &config.Leeway, "OIDC_TIMEOUT": &config.Timeout} {
		parsed(name, func(value string) (err error) {
			if *field, err = time.ParseDuration(value); err != nil {
				return fmt.Errorf("%q is not a duration such as 30s", value)
			}
			return nil
		})
	}
	// The URL may have a password in it, and then belongs in a file.
	if location := secret("OIDC_STORE"); location != "" {
		records, err := store.Open(location)
		if err != nil {
			problems = append(problems, fmt.Errorf("OIDC_STORE: %w", err))
		}
		config.Broker = &Broker{Store: records}
	}
	return config, errors.Join(problems...)
}

// splitList gives the entries of a list, and nil for none, which a Config tells
// from an empty list.
func splitList(text string) []string {
	entries := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	if len(entries) == 0 {
		return nil
	}
	return entries
}
