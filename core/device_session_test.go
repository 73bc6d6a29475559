package core_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oidcgate/oidcgate/core"
	"github.com/oidcgate/oidcgate/core/oidctest"
	"github.com/stretchr/testify/require"
)

func TestASessionKeepsTheDeviceOfItsLogin(t *testing.T) {
	spy := newSpyStore()
	var said core.Device
	a := newApp(t, newProvider(t, oidctest.Options{}), stored(spy), inBroker(func(b *core.Broker) {
		b.Device = func(r *http.Request) core.Device {
			if r.URL.Path == "" || r.Header == nil {
				t.Error("it is no request")
			}
			return said
		}
	}))
	device := func() core.Device {
		t.Helper()
		found, err := a.auth.Sessions(t.Context(), "user-alice")
		require.NoError(t, err)
		return found[0].Device
	}
	for name, login := range map[string]func(string) answer{"code": a.codeLogin, "callback": a.callbackLogin, "device": a.deviceLogin} {
		a.clock.Add(time.Second) // for its session to be the newest
		said = core.Device{Address: "192.0.2.7", UserAgent: "Firefox at " + name}
		got := a.tokens(login("alice"))
		require.Equal(t, said, device(), name)
		want := said
		said = core.Device{Address: "198.51.100.1", UserAgent: "curl"}
		a.tokens(a.refresh(got.RefreshToken))
		require.Equal(t, want, device(), "a refresh changes nothing")
	}
	require.NotContains(t, spy.handed(), "Firefox", "it is sealed")
}

func TestWhatAStrangerSaysOfADeviceIsCutAndPlain(t *testing.T) {
	var said core.Device
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(func(b *core.Broker) {
		b.Device = func(*http.Request) core.Device { return said }
	}))
	for said.UserAgent, said.Address = range map[string]string{
		"Fire\nfox\x1b[31m\u0085": "192.0.2.7\x00", "bad\xffbytes": "\xc3", strings.Repeat("x", 255) + "ß": strings.Repeat("9", 10_000),
	} {
		a.clock.Add(time.Second)
		a.signIn("alice")
		found, err := a.auth.Sessions(t.Context(), "user-alice")
		require.NoError(t, err)
		require.Contains(t, []core.Device{
			{Address: "192.0.2.7", UserAgent: "Firefox[31m"}, {UserAgent: "badbytes"},
			{Address: strings.Repeat("9", 256), UserAgent: strings.Repeat("x", 255)},
		}, found[0].Device)
	}
}

func TestADeviceThatPanicsStopsNoLogin(t *testing.T) {
	a := newApp(t, newProvider(t, oidctest.Options{}), brokered(func(b *core.Broker) {
		b.Device = func(*http.Request) core.Device { panic("a mistake") }
	}))
	a.signIn("alice")
	require.Len(t, a.log.lines("Broker.Device panicked"), 1)
	require.Len(t, a.sessionsOf("user-alice"), 1)
}
