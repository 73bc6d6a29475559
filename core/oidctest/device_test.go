package oidctest_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/oidcgate/oidcgate/core/oidctest"
)

func TestADeviceSignsInAsWhoApprovedIt(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{Public: true, DeviceInterval: -1})
	c := config(p, "")
	device, err := c.DeviceAuth(t.Context())
	require.NoError(t, err)
	assert.Equal(t, p.Issuer+oidctest.DevicePath, device.VerificationURI)
	assert.Equal(t, device.VerificationURI+"?user_code="+device.UserCode, device.VerificationURIComplete)
	p.Device(t, strings.ToLower(strings.ReplaceAll(device.UserCode, "-", " ")), "bob", true)

	token, err := c.DeviceAccessToken(t.Context(), device)
	require.NoError(t, err)
	subset(t, map[string]any{"sub": "user-bob", "email": "bob@example.com", "scope": "openid profile email"}, claims(t, token.AccessToken))
	id, _ := token.Extra("id_token").(string)
	assert.Equal(t, "user-bob", claims(t, id)["sub"])
	assert.NotEmpty(t, token.RefreshToken)

	assert.Equal(t, "invalid_grant", poll(t, p, device).Error, "a device code is for one use")
	assert.Equal(t, "user-bob", claims(t, refresh(t, p, token.RefreshToken).AccessToken)["sub"])
	said := failure(t, func(tb testing.TB) { p.Device(tb, device.UserCode, "bob", true) })
	assert.Contains(t, said, "No device waits with this code")
	assert.Contains(t, said, "answers 400")
}

func TestADeviceIsToldThatItWasRefused(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{DeviceInterval: -1})
	device := &oauth2.DeviceAuthResponse{}
	started := post(t, p, oidctest.DeviceAuthorizationPath, map[string]string{"scope": "openid"})
	require.NoError(t, device.UnmarshalJSON([]byte(started.Body)), started.Body)
	assert.Equal(t, "authorization_pending", poll(t, p, device).Error)
	p.Device(t, device.UserCode, "alice", false)
	assert.Equal(t, "access_denied", poll(t, p, device).Error)
	assert.Equal(t, "access_denied", poll(t, p, device).Error)
	assert.Equal(t, "invalid_grant", poll(t, p, &oauth2.DeviceAuthResponse{DeviceCode: "none"}).Error)
}

func TestAConfidentialClientNeedsItsSecretForDevices(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{DeviceInterval: -1})
	for path, form := range map[string]map[string]string{
		oidctest.DeviceAuthorizationPath: {"client_secret": ""},
		oidctest.TokenPath:               {"client_secret": "", "grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "some"},
	} {
		got := post(t, p, path, form)
		assert.Equal(t, "invalid_client", got.Error, path)
		assert.Equal(t, http.StatusUnauthorized, got.Status, path)
	}
}

func TestTheDevicePageIsForPeople(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{Public: true, DeviceInterval: -1})
	device, err := config(p, "").DeviceAuth(t.Context())
	require.NoError(t, err)
	client := browser(t)
	read := func(response *http.Response, err error) (int, string) {
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(body)
	}

	status, body := read(client.Get(device.VerificationURIComplete))
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, `value="`+device.UserCode+`"`)
	assert.Contains(t, body, "wonderland")
	status, body = read(client.PostForm(device.VerificationURI, url.Values{"user_code": {device.UserCode}, "username": {"alice"}, "password": {"no"}, "decision": {"approve"}}))
	assert.Equal(t, http.StatusUnauthorized, status)
	assert.Contains(t, body, "Wrong user name or password")
	assert.Equal(t, "authorization_pending", poll(t, p, device).Error)

	// A browser that has signed in before needs no password.
	p.Authorize(t, client, config(p, callback).AuthCodeURL("state", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())), "alice")
	_, body = read(client.Get(device.VerificationURIComplete))
	assert.Contains(t, body, "signed in as <strong>alice</strong>")
	status, body = read(client.PostForm(device.VerificationURI, url.Values{"user_code": {device.UserCode}, "decision": {"approve"}}))
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "Device signed in")
	assert.Equal(t, "user-alice", claims(t, poll(t, p, device).AccessToken)["sub"])
}
