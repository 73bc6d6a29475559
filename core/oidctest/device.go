package oidctest

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// deviceRequest is a device that waits for a person (RFC 8628).
type deviceRequest struct {
	userCode string
	scopes   []string
	expires  time.Time
	polled   time.Time
	refused  bool
	approved *grant
}

// deviceConfig announces in whole seconds, and at least one, what the storage
// then keeps to exactly.
func (o *Options) deviceConfig(prefix string) op.DeviceAuthorizationConfig {
	seconds := func(d time.Duration) time.Duration {
		return max(time.Second, (d + time.Second - 1).Truncate(time.Second))
	}
	return op.DeviceAuthorizationConfig{
		Lifetime:     seconds(o.DeviceLifetime),
		PollInterval: seconds(o.DeviceInterval),
		UserFormPath: prefix + DevicePath,
		UserCode:     op.UserCodeBase20,
	}
}

func (s *storage) StoreDeviceAuthorization(_ context.Context, _, deviceCode, userCode string, _ time.Time, scopes []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	// Kept for a while after it has expired, so that a device which polls is
	// told what happened.
	maps.DeleteFunc(s.devices, func(_ string, d *deviceRequest) bool { return now.After(d.expires.Add(time.Hour)) })
	s.devices[deviceCode] = &deviceRequest{userCode: normalUserCode(userCode), scopes: scopes, expires: now.Add(s.options.DeviceLifetime)}
	return nil
}

func (s *storage) GetDeviceAuthorizatonState(context.Context, string, string) (*op.DeviceAuthorizationState, error) {
	return nil, errDisabled
}

// poll answers a device once with what the person has allowed, and with an error
// of RFC 8628, section 3.5, before that and after.
func (s *storage) poll(deviceCode string) (*grant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.devices[deviceCode]
	if d == nil {
		return nil, oidc.ErrInvalidGrant().WithDescription("the device code is unknown or was used before")
	}
	now := time.Now()
	early := now.Sub(d.polled) < s.options.DeviceInterval
	d.polled = now
	switch {
	case now.After(d.expires):
		return nil, oidc.ErrExpiredDeviceCode()
	case early:
		return nil, oidc.ErrSlowDown().WithDescription("the device polls faster than the interval that it was told")
	case d.refused:
		// It stays refused: a client that asks once more is told the same.
		return nil, oidc.ErrAccessDenied().WithDescription("The person refused the device.")
	case d.approved == nil:
		return nil, oidc.ErrAuthorizationPending().WithDescription("nobody has decided on the device yet")
	}
	delete(s.devices, deviceCode)
	return d.approved, nil
}

// decide is the person's answer to a device. It reports false if no device waits
// with this user code.
func (s *storage) decide(userCode string, by *session, approve bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices {
		if d.userCode != normalUserCode(userCode) || d.refused || d.approved != nil || time.Now().After(d.expires) {
			continue
		}
		if d.refused = !approve; approve {
			g := s.grantTo(by, d.scopes)
			d.approved = &g
		}
		return true
	}
	return false
}

// normalUserCode makes a code as it was typed comparable.
func normalUserCode(code string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code))
}

func (p *Provider) deviceAuthorization(w http.ResponseWriter, r *http.Request) {
	// op would let a confidential client ask for a code without its secret.
	_, err := p.authenticate(r)
	if err == nil {
		err = op.DeviceAuthorization(w, r, p.op)
	}
	if err != nil {
		writeError(w, err)
	}
}

// devicePage is where a person types the user code, signs in, and decides: one
// form for all of it.
func (p *Provider) devicePage(w http.ResponseWriter, r *http.Request) {
	page := devicePage{UserCode: r.FormValue("user_code"), Users: p.options.Users}
	by := p.session(r)
	if by != nil {
		page.SignedIn = by.user.Username
	}
	if r.Method != http.MethodPost {
		render(w, http.StatusOK, "device", page)
		return
	}
	if name := r.PostFormValue("username"); by == nil || name != "" {
		user := p.storage.user(name)
		if user == nil || r.PostFormValue("password") != user.Password {
			page.Username, page.Error = name, "Wrong user name or password."
			render(w, http.StatusUnauthorized, "device", page)
			return
		}
		by = p.signedIn(w, r, user)
		page.SignedIn = user.Username
	}
	approve := r.PostFormValue("decision") == "approve"
	if !p.storage.decide(page.UserCode, by, approve) {
		page.Error = "No device waits with this code. It may have expired or been used."
		render(w, http.StatusBadRequest, "device", page)
		return
	}
	message := messagePage{Title: "Device refused", Text: "The device was told that it may not sign in."}
	if approve {
		message = messagePage{Title: "Device signed in", Text: "You can close this page and go on at the device."}
	}
	render(w, http.StatusOK, "message", message)
}
