package core_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

// Forged tokens are what can be made of a valid token and the published key by
// somebody who has no private key but his own. In broker mode they are made of
// the broker's tokens.
func TestForgedTokensAreRefused(t *testing.T) {
	var visits atomic.Int64
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	defer trap.Close()
	attack := func(t *testing.T, a *app, valid string, key jose.JSONWebKey) {
		guard := a.auth.Required()
		require.Equal(t, http.StatusOK, serve(guard, bearer(valid)).StatusCode)
		for _, group := range []struct {
			name  string
			forge func(t *testing.T, valid string, key jose.JSONWebKey) map[string]string
		}{
			{"unsigned", unsigned}, {"signed with the public key", publicKeyAsSecret},
			{"with another signature", otherSignatures}, {"in another form", otherForms},
			{"signed with another key", signedByAnother(a.auth, trap.URL)},
		} {
			t.Run(group.name, func(t *testing.T) {
				for name, raw := range group.forge(t, valid, key) {
					require.NotEqual(t, valid, raw, name)
					t.Run(name, func(t *testing.T) { requireRefused(t, a, guard, raw) })
				}
			})
		}
		require.Zero(t, visits.Load(), "nobody fetches what a token points to")
		require.Equal(t, http.StatusOK, serve(guard, bearer(valid)).StatusCode)
	}
	for _, alg := range []string{"RS256", "PS384", "ES256", "ES512", "EdDSA"} {
		t.Run("of a provider, "+alg, func(t *testing.T) {
			x := newTarget(t, alg)
			attack(t, x.app, x.valid(), x.jwk())
		})
	}
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		t.Run("of a broker, "+alg, func(t *testing.T) {
			a := newApp(t, newProvider(t, oidctest.Options{}), brokered(func(b *core.Broker) { b.Algorithm = alg }))
			valid := a.signIn("alice").AccessToken
			attack(t, a, valid, a.keys().Keys[0])
		})
	}
}

// unsigned are tokens whose header says that there is no signature, or does not
// say what it is.
func unsigned(t *testing.T, valid string, key jose.JSONWebKey) map[string]string {
	parts := strings.Split(valid, ".")
	tokens := map[string]string{}
	for name, alg := range map[string]string{
		"none": `"none"`, "None": `"None"`, "NONE": `"NONE"`, "nOnE": `"nOnE"`, "none and a space": `"none "`, "none and a NUL": `"none\u0000"`,
		"none, escaped": `"\u006eone"`, "empty": `""`, "null": `null`, "a number": `0`, "a list": `["` + key.Algorithm + `"]`, "a list of none": `["none"]`,
		"an object": `{}`, "true": `true`, "in lower case": `"` + strings.ToLower(key.Algorithm) + `"`, "unknown": `"XX256"`, "a path": `"../` + key.Algorithm + `"`,
	} {
		if name == "in lower case" && strings.ToLower(key.Algorithm) == key.Algorithm {
			continue
		}
		for with, signature := range map[string]string{"no signature": "", "a short signature": "AA", "the valid signature": parts[2]} {
			tokens["alg "+name+" with "+with] = encode(fmt.Sprintf(`{"alg":%s,"kid":%q,"typ":"JWT"}`, alg, key.KeyID)) + "." + parts[1] + "." + signature
		}
	}
	for name, header := range map[string]string{
		"no alg": `{"kid":"` + key.KeyID + `"}`, "Alg": `{"Alg":"` + key.Algorithm + `","kid":"` + key.KeyID + `"}`, "no member": `{}`,
		"none, then the valid one": `{"alg":"none","alg":"` + key.Algorithm + `"}`, "the valid one, then none": `{"alg":"` + key.Algorithm + `","alg":"none"}`,
	} {
		tokens[name] = encode(header) + "." + parts[1] + "." + parts[2]
	}
	return tokens
}

// publicKeyAsSecret are tokens with a MAC, of which the secret is the public key
// in whichever form a library may have it.
func publicKeyAsSecret(t *testing.T, valid string, key jose.JSONWebKey) map[string]string {
	der, err := x509.MarshalPKIXPublicKey(key.Key)
	require.NoError(t, err)
	document, err := json.Marshal(key)
	require.NoError(t, err)
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	secrets := map[string][]byte{
		"PEM": asPEM, "PEM without a line break": asPEM[:len(asPEM)-1], "DER": der, "JWK": document,
		"base64": []byte(base64.StdEncoding.EncodeToString(der)), "kid": []byte(key.KeyID), "nothing": nil,
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		pkcs1 := x509.MarshalPKCS1PublicKey(public)
		secrets["PKCS1"], secrets["PKCS1 PEM"] = pkcs1, pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1})
		secrets["modulus"], secrets["modulus in base64url"] = public.N.Bytes(), []byte(encode(string(public.N.Bytes())))
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		require.NoError(t, err)
		secrets["point"], secrets["coordinates"], secrets["x"] = point, point[1:], point[1:1+len(point)/2]
	case ed25519.PublicKey:
		secrets["bytes"] = public
	}
	tokens := map[string]string{}
	for alg, hash := range map[string]crypto.Hash{"HS256": crypto.SHA256, "HS384": crypto.SHA384, "HS512": crypto.SHA512, key.Algorithm: crypto.SHA256} {
		for name, secret := range secrets {
			tokens[alg+" of "+name] = authenticated(hash, fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, key.KeyID), decode(t, strings.Split(valid, ".")[1]), secret)
		}
	}
	return tokens
}

// signedByAnother are tokens with a valid signature of the attacker's, whose
// headers name the issuer's key, or bring his, or tell where it is.
func signedByAnother(auth *core.Auth, trap string) func(*testing.T, string, jose.JSONWebKey) map[string]string {
	return func(t *testing.T, valid string, key jose.JSONWebKey) map[string]string {
		payload := decode(t, strings.Split(valid, ".")[1])
		tokens := map[string]string{}
		// A key that the issuer does not publish is worth one fetch in a while,
		// and so is a known kid with the algorithm of another key: this is it.
		unknown := forger{kid: key.KeyID, alg: "ES384", private: newECKey(t, elliptic.P384())}
		_, err := auth.Verify(t.Context(), unknown.token(t, unknown.header(), payload))
		require.ErrorIs(t, err, core.ErrInvalidToken)
		_, edKey, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		for own, private := range map[string]crypto.Signer{
			"RS256": rsaKeys()[1], "PS384": rsaKeys()[1], "ES256": newECKey(t, elliptic.P256()), "ES512": newECKey(t, elliptic.P521()), "EdDSA": edKey,
		} {
			for _, alg := range []string{own, key.Algorithm} {
				attacker := forger{kid: key.KeyID, alg: alg, private: private}
				tokens[own+" as "+alg] = attacker.token(t, attacker.header(), payload)
				tokens[own+" as "+alg+", without a kid"] = attacker.token(t, `{"alg":"`+alg+`"}`, payload)
			}
			if own != key.Algorithm {
				continue
			}
			attacker := forger{kid: key.KeyID, alg: own, private: private}
			jwk, err := json.Marshal(attacker.jwk())
			require.NoError(t, err)
			template := &x509.Certificate{SerialNumber: big.NewInt(1)}
			certificate, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
			require.NoError(t, err)
			x5c := `["` + base64.StdEncoding.EncodeToString(certificate) + `"]`
			for name, member := range map[string]string{
				"jwk": `"jwk":` + string(jwk), "jku": `"jku":"` + trap + `/jwks"`, "x5u": `"x5u":"` + trap + `/x509"`, "x5c": `"x5c":` + x5c,
				"all": `"jwk":` + string(jwk) + `,"jku":"` + trap + `","x5u":"` + trap + `","x5c":` + x5c + `,"x5t":"AA","x5t#S256":"AA"`,
				"iss": `"iss":"` + trap + `"`, "zip": `"zip":"DEF"`,
			} {
				tokens["header with "+name] = attacker.token(t, attacker.header(member), payload)
			}
		}
		return tokens
	}
}

func newECKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return key
}

// otherSignatures are the valid header and payload with a signature that is not
// theirs, and theirs with a payload that it is not of.
func otherSignatures(t *testing.T, valid string, _ jose.JSONWebKey) map[string]string {
	parts := strings.Split(valid, ".")
	signed, signature := parts[0]+"."+parts[1]+".", decode(t, parts[2])
	tokens := map[string]string{
		"none at all": parts[0] + "." + parts[1], "empty": signed, "doubled": signed + encode(signature+signature), "with a byte behind": signed + encode(signature+"\x00"),
		"with a byte in front": signed + encode("\x00"+signature), "of zeros": signed + encode(strings.Repeat("\x00", len(signature))),
		"of ones": signed + encode(strings.Repeat("\xff", len(signature))), "backwards": signed + encode(signature[len(signature)/2:]+signature[:len(signature)/2]),
		"another user": parts[0] + "." + encode(strings.Replace(decode(t, parts[1]), "user-alice", "user-bob", 1)) + "." + parts[2],
		"a space more": parts[0] + "." + encode(decode(t, parts[1])+" ") + "." + parts[2],
		"no header":    "." + parts[1] + "." + parts[2], "no payload": parts[0] + ".." + parts[2],
	}
	for n := 1; n < len(signature); n += max(1, len(signature)/16) {
		tokens[fmt.Sprintf("its first %d bytes", n)] = signed + encode(signature[:n])
		tokens[fmt.Sprintf("its last %d bytes", n)] = signed + encode(signature[len(signature)-n:])
	}
	return tokens
}

// otherForms are the valid token, spelled or wrapped in another way.
func otherForms(t *testing.T, valid string, key jose.JSONWebKey) map[string]string {
	parts := strings.Split(valid, ".")
	one := fmt.Sprintf(`{"protected":%q,"signature":%q}`, parts[0], parts[2])
	forged := fmt.Sprintf(`{"protected":%q,"signature":%q}`, encode(`{"alg":"none"}`), "AA")
	tokens := map[string]string{
		"flattened JSON":                   fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2]),
		"general JSON":                     fmt.Sprintf(`{"payload":%q,"signatures":[%s]}`, parts[1], one),
		"general JSON, and a forged one":   fmt.Sprintf(`{"payload":%q,"signatures":[%s,%s]}`, parts[1], one, forged),
		"general JSON, after a forged one": fmt.Sprintf(`{"payload":%q,"signatures":[%s,%s]}`, parts[1], forged, one),
		"JSON in base64url":                encode(fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2])),
		"nested":                           parts[0] + "." + encode(valid) + "." + parts[2],
		"nested, as cty says":              encode(`{"alg":"`+key.Algorithm+`","kid":"`+key.KeyID+`","cty":"JWT"}`) + "." + encode(valid) + "." + parts[2],
		"five parts, as if encrypted":      parts[0] + ".." + parts[1] + "." + parts[2] + ".AA",
		"four parts":                       valid + ".AA", "a dot behind": valid + ".", "a dot in front": "." + valid,
		"twice": valid + valid, "twice, with a comma": valid + "," + valid, "quoted": `"` + valid + `"`, "percent-encoded": strings.ReplaceAll(valid, ".", "%2E"),
		"in capitals": strings.ToUpper(valid), "a byte order mark": "\ufeff" + valid, "a NUL behind": valid + "\x00", "a soft hyphen": valid[:9] + "\u00ad" + valid[9:],
	}
	for i, which := range []string{"header", "payload", "signature"} {
		with := func(part string) string {
			changed := append([]string{}, parts...)
			changed[i] = part
			return strings.Join(changed, ".")
		}
		part := parts[i]
		for name, inserted := range map[string]string{"a space": " ", "a tab": "\t", "a line feed": "\n", "a carriage return": "\r", "a line break": "\r\n", "a NUL": "\x00", "padding": "=", "an em": "\u2003"} {
			tokens[name+" in the "+which] = with(part[:2] + inserted + part[2:])
			tokens[name+" in front of the "+which] = with(inserted + part)
			tokens[name+" behind the "+which] = with(part + inserted)
		}
		tokens["too much padding of the "+which] = with(part + "===")
		tokens["standard base64, a + in the "+which] = with("+" + part[1:])
		tokens["standard base64, a / in the "+which] = with(part[:len(part)-1] + "/")
		if standard := strings.NewReplacer("-", "+", "_", "/").Replace(part); standard != part {
			tokens["standard base64 of the same "+which] = with(standard)
		}
		if spare := len(part) % 4; spare != 0 {
			tokens["trailing bits in the "+which] = with(trailing(part))
			tokens["padding as it should be, in the "+which] = with(part + strings.Repeat("=", 4-spare))
		}
	}
	// Those belong to the Authorization header, which may have several.
	delete(tokens, "a space in front of the header")
	return tokens
}

// trailing spells the same bytes with a bit set that nothing is read from.
func trailing(part string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return part[:len(part)-1] + string(alphabet[strings.IndexByte(alphabet, part[len(part)-1])+1])
}
