package harness

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// form is what a person can send from a page.
type form struct {
	page     *url.URL // that it is on
	method   string
	action   *url.URL
	fields   []field
	buttons  []field
	password bool // one of its fields is for a password
}

type field struct{ name, kind, value string }

// findForm gives the first form of a page, nil when it has none.
func findForm(page Answer) *form {
	if !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") {
		return nil
	}
	root, err := html.Parse(strings.NewReader(page.Text))
	if err != nil {
		return nil
	}
	var found *html.Node
	for node := range root.Descendants() {
		if node.Type == html.ElementNode && node.Data == "form" {
			found = node
			break
		}
	}
	if found == nil {
		return nil
	}
	action, err := page.URL.Parse(attribute(found, "action"))
	if err != nil {
		return nil
	}
	f := &form{page: page.URL, method: strings.ToUpper(cmp.Or(attribute(found, "method"), http.MethodGet)), action: action}
	id := attribute(found, "id")
	for node := range root.Descendants() {
		if node.Type == html.ElementNode && (within(node, found) || id != "" && attribute(node, "form") == id) {
			f.add(node)
		}
	}
	return f
}

func (f *form) add(node *html.Node) {
	control := field{name: attribute(node, "name"), kind: strings.ToLower(attribute(node, "type")), value: attribute(node, "value")}
	switch {
	case node.Data == "button" && cmp.Or(control.kind, "submit") == "submit", node.Data == "input" && control.kind == "submit":
		f.buttons = append(f.buttons, control)
	case node.Data != "input" || control.name == "":
	case control.kind == "checkbox" || control.kind == "radio":
		if hasAttribute(node, "checked") {
			control.value = cmp.Or(control.value, "on")
			f.fields = append(f.fields, control)
		}
	default:
		f.password = f.password || control.kind == "password"
		f.fields = append(f.fields, control)
	}
}

// values are what somebody sends: hidden fields as they are, the others filled in, and
// the button that is pressed.
func (f *form) values(who Person) url.Values {
	values := url.Values{}
	for _, field := range f.fields {
		values.Add(field.name, field.filled(who))
	}
	for _, button := range f.buttons {
		if button.refuses() == who.Refuses {
			if button.name != "" {
				values.Set(button.name, button.value)
			}
			break
		}
	}
	return values
}

func (f field) filled(who Person) string {
	name := strings.ToLower(f.name)
	switch {
	case f.kind == "hidden":
		return f.value
	case f.kind == "password":
		return who.Password
	case strings.Contains(name, "code"):
		return cmp.Or(who.Code, f.value)
	case name == "username" || name == "login" || name == "email":
		return who.Name
	}
	return f.value
}

// refusable tells whether one of the buttons says no.
func (f *form) refusable() bool { return slices.ContainsFunc(f.buttons, field.refuses) }

// refuses tells whether a button says no.
func (f field) refuses() bool {
	said := strings.ToLower(f.name + " " + f.value)
	for _, no := range []string{"cancel", "abort", "den", "refus"} {
		if strings.Contains(said, no) {
			return true
		}
	}
	return false
}

func within(node, ancestor *html.Node) bool {
	for parent := node.Parent; parent != nil; parent = parent.Parent {
		if parent == ancestor {
			return true
		}
	}
	return false
}

func attribute(node *html.Node, name string) string {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttribute(node *html.Node, name string) bool {
	for _, a := range node.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}
