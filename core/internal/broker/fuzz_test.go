package broker

import (
	"strings"
	"testing"

	"github.com/oidcgate/oidcgate/core/internal/session"
)

func FuzzRefreshTokensHaveOneSpellingAndOneMaker(f *testing.F) {
	b := newTestBroker(f, "EdDSA")
	h := handle{15: 7}
	g := session.Generation{Number: 3, Secret: b.macs["app"].First(), Salt: [16]byte{1}}
	genuine, err := b.refreshToken("app", h, g)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		"", "ogr1.", genuine, genuine[:len(genuine)-1], genuine + "A", genuine + "=", " " + genuine, genuine + "\n", strings.ToUpper(genuine), "og1." + genuine[5:],
		genuine[:20] + "\n" + genuine[20:], genuine[:len(genuine)-1] + "B", "ogr1." + strings.Repeat("A", len(genuine)-5), strings.NewReplacer("-", "+", "_", "/").Replace(genuine),
		"ogr1.AAAA" + genuine[9:], genuine[:30] + "A" + genuine[31:],
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		gotHandle, gotGeneration, ok := b.parseRefreshToken("app", raw)
		if ok != (raw == genuine) {
			t.Fatalf("%q: %t", raw, ok)
		}
		if ok && (gotHandle != h || gotGeneration != g) {
			t.Fatalf("%q became %v %v", raw, gotHandle, gotGeneration)
		}
	})
}
