package provider

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/address"
	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/httpx"
	"github.com/oidcgate/oidcgate/core/internal/text"
)

func FuzzDiscoveryDocument(f *testing.F) {
	p := newTestProvider(Options{})
	valid := `{"issuer":"https://id.example.org","authorization_endpoint":"https://id.example.org/a","token_endpoint":"https://id.example.org/t","jwks_uri":"https://id.example.org/k"}`
	for _, seed := range []string{
		"", "null", "{}", valid, strings.Replace(valid, "https://id.example.org/t", "http://id.example.org/t", 1), strings.Replace(valid, "/t", "/t#x", 1),
		strings.Replace(valid, `"https://id.example.org/k"`, "1", 1), `{"issuer":"https://id.example.org/"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := p.parseMetadata(body)
		if err != nil {
			if !errors.Is(err, fault.Provider) {
				t.Fatal(err)
			}
			return
		}
		for _, endpoint := range []string{m.AuthorizationEndpoint, m.TokenEndpoint, m.KeysURL} {
			if address.Check(endpoint, false) != nil {
				t.Fatalf("accepted %q", endpoint)
			}
		}
	})
}

func FuzzAnswersOfTheProvider(f *testing.F) {
	for _, seed := range []string{
		"", "null", "{}", `{"access_token":"x","expires_in":"1"}`, `{"access_token":"x","expires":-1,"refresh_exp":1e99}`, `{"access_token":1}`,
		`{"device_code":"d","user_code":"u","verification_url":"v","expires_in":1}`, `{"access_token":"x","expires_in":"NaN"}`, `{"access_token":"x","expires_in":253402300799}`,
		`{"access_token":"x","scope":["a",null],"x_refresh_token_expires_in":"1"}`, `{"error":"invalid_grant","error_description":"\u0000\""}`,
		`{"error":{"code":190}}`, `{"error":"x y\n"}`, `{"error":"invalid_request","error_description":"DPoP"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := goodBody("https://id.example.org/token", httpx.Response{Status: http.StatusOK, Body: body}, nil); err != nil {
			var e *fault.Error
			if !errors.As(err, &e) || len(e.Description) > text.MaxForeign || e.Description != text.Quotable(e.Description) || e.Code != text.Quotable(e.Code) {
				t.Fatalf("%+v", err)
			}
		}
		if answer, err := parseTokens(body, time.Now()); err == nil {
			if answer.AccessToken == "" || answer.Expires.Unix() <= 0 || !answer.RefreshExpires.IsZero() && answer.RefreshExpires.Unix() <= 0 {
				t.Fatalf("%+v", answer)
			}
		} else if !errors.Is(err, fault.Provider) {
			t.Fatal(err)
		}
		if device, err := parseDevice(body); err == nil {
			if device.Interval <= 0 || device.ExpiresIn <= 0 || device.DeviceCode == "" {
				t.Fatalf("%+v", device)
			}
		} else if !errors.Is(err, fault.Provider) {
			t.Fatal(err)
		}
	})
}
