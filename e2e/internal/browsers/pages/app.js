// A single-page application with the module that the documents recommend.
import { oidcgate } from './oidcgate.js'

const $ = (id) => document.getElementById(id)
const auth = oidcgate({ onChange: show })

function show(user) {
  $('user').textContent = user ? `signed in as ${user.name}` : 'signed out'
  $('sign-in').hidden = Boolean(user)
  $('sign-out').hidden = !user
}

$('sign-in').onclick = () => auth.signIn()
$('sign-out').onclick = () => auth.signOut()
show(await auth.whoAmI())
