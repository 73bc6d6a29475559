package broker

// Identity is who a token is about, as core.Identity, which has the same fields, explains
// it.
type Identity struct {
	Occasion      Occasion
	SessionID     string
	Issuer        string
	Subject       string
	Claims        map[string]any
	Username      string
	FirstName     string
	LastName      string
	Name          string
	Email         string
	EmailVerified bool
	Roles         []string
	Scopes        []string
	Extra         map[string]any
	Actor         *Actor
}

// Actor is who acts for the user (RFC 8693 4.1).
type Actor struct {
	Issuer  string `json:"iss,omitzero"`
	Subject string `json:"sub"`
}

// Occasion is what an identity is asked for.
type Occasion string

// The occasions on which Identify is called.
const (
	OnLogin    Occasion = "login"
	OnRefresh  Occasion = "refresh"
	OnExchange Occasion = "exchange"
)
