# A sandbox's shell: the user has a number and no name, so say what the place is instead.
[ -z "$PS1" ] && return
# A terminal's shell is a login shell, for which /etc/profile forgets where Python is.
case ":$PATH:" in *:/opt/sandbox/bin:*) ;; *) PATH=/opt/sandbox/bin:$PATH ;; esac
PS1='sandbox:\w\$ '
shopt -s checkwinsize
