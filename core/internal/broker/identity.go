package broker

// Identity is who a token is about, as core.Identity, which has the same fields, explains
// it.
type Identity struct {
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
}
