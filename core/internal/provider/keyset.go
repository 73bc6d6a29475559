package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/oidcgate/oidcgate/core/internal/fault"
	"github.com/oidcgate/oidcgate/core/internal/fetch"
	"github.com/oidcgate/oidcgate/core/internal/httpx"
	"github.com/oidcgate/oidcgate/core/internal/jose"
)

// How long documents are used before they are fetched again. A key set may say
// that for itself, within bounds: a key that its issuer withdraws is accepted
// until then, and no issuer is asked all the time.
const (
	refreshMetadata = time.Hour
	RefreshKeys     = 15 * time.Minute
	minRefreshKeys  = 5 * time.Minute
	maxRefreshKeys  = time.Hour
)

func (p *Provider) loadKeys(ctx context.Context) (jose.KeySet, time.Duration, error) {
	location := p.JWKSURL // needs no discovery document
	if location == "" {
		m, err := p.metadata.Get(ctx)
		if err != nil {
			return nil, 0, err
		}
		location = m.KeysURL
	}
	keys, fresh, err := FetchKeys(ctx, p.HTTP, location, jose.MaxRSABits)
	return keys, fresh, advise(err, "set Provider.JWKSURL to where the provider's keys are")
}

// maxKeySet is the largest key set that is read, in bytes: enough for a hundred keys
// with their certificates, and little enough to be parsed again for every stranger's
// key id that the cool-down lets through.
const maxKeySet = 256 << 10

var errKeySetTooLarge = errors.New("it is larger than 256 KiB")

// FetchKeys gets a key set, and tells how long it is fresh.
func FetchKeys(ctx context.Context, client *httpx.Client, location string, maxRSABits int) (jose.KeySet, time.Duration, error) {
	res, err := Fetch(ctx, client, location)
	if err != nil {
		return nil, 0, err
	}
	var keys jose.KeySet
	if err = errKeySetTooLarge; len(res.Body) <= maxKeySet {
		keys, err = jose.ParseKeySet(res.Body, maxRSABits)
	}
	if errors.Is(err, jose.ErrNoKeys) {
		err = fmt.Errorf("%w: %w", fetch.ErrNothing, err)
	}
	if err != nil {
		return nil, 0, fault.Provider.New("The key set can't be used.").From(fmt.Errorf("%s: %w", location, err))
	}
	return keys, freshKeys(res.Header), nil
}

// freshKeys is how long a key set is fresh, by its Cache-Control header (RFC
// 9111 5.2.2) and within our bounds.
func freshKeys(header http.Header) time.Duration {
	fresh := RefreshKeys
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return minRefreshKeys
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				fresh = time.Duration(seconds) * time.Second
			}
		}
	}
	return min(max(fresh, minRefreshKeys), maxRefreshKeys)
}
