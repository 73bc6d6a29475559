package address

import (
	"testing"

	"github.com/stretchr/testify/require"
)

var insideURLs = []string{
	"https://localhost/t", "https://localhost:8443/t", "https://LOCALHOST/t", "https://localhost./t", "https://app.localhost/t",
	"https://127.0.0.1/t", "https://127.8.8.8/t", "https://[::1]/t", "https://[::ffff:127.0.0.1]/t", "https://[::ffff:a00:1]/t", "https://127.0.0.1./t",
	"https://10.0.0.1/t", "https://172.16.0.1/t", "https://172.31.255.255/t", "https://192.168.1.1/t", "https://100.100.100.200/t", "https://[::ffff:100.100.100.200]/t", "https://[fd00::1]/t",
	"https://169.254.169.254/t", "https://[fe80::1]/t", "https://[fe80::1%25eth0]/t",
	"https://0.0.0.0/t", "https://[::]/t", "https://224.0.0.1/t", "https://255.255.255.255/t",
	"https://2130706433/t", "https://0x7f000001/t", "https://127.1/t", "https://0177.0.0.1/t", "https://0x7f.0x0.0x0.0x1/t",
	"https://keycloak:8443/t", "https://KEYCLOAK.LOCAL/t", "https://keycloak.auth.svc.cluster.local/t", "https://metadata.google.internal/t", "https://router.home.arpa/t", "https://nas.local/t",
	"https://0.0.0.1/t", "https://192.0.0.192/t", "https://[::7f00:1]/t", "https://[::ffff:0:127.0.0.1]/t", "https://[64:ff9b::169.254.169.254]/t",
	"https://[64:ff9b:1::a00:1]/t", "https://[2002:7f00:1::]/t", "https://[fec0::1]/t", "https://localhost.localdomain/t", "https://sso.corp/t", "https://nas.lan/t",
}

var outsideURLs = []string{
	"https://id.example.org/t", "https://8.8.8.8/t", "https://172.32.0.1/t", "https://100.128.0.1/t", "https://[2606:4700::1111]/t",
	"https://localhost.example.org/t", "https://10.0.0.1.example.org/t", "https://mylocal.example/t", "https://internal.example.org/t", "https://id.example.org./t",
}

func TestInsideIsWhatOnlyAPrivateNetworkHas(t *testing.T) {
	for _, inside := range insideURLs {
		require.True(t, isInside(inside), inside)
	}
	require.True(t, isInside("https://[::1/t"), "nobody knows where it leads")
	for _, outside := range outsideURLs {
		require.False(t, isInside(outside), outside)
	}
}
