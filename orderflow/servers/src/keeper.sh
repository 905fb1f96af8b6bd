# Keeps one server: makes its directory, runs what it is told on standard input, and when that input ends, which it does
# however the program that holds the other end ends, stops the server and removes the directory.
# Arguments: the signal that ends the server at once, then the places where the directory may be.
umask 077
trap : PIPE # whoever reads the answers may be gone; what follows must run all the same
end=$1
shift
dir= server= frozen= request=0

finish() {
    trap '' HUP INT TERM
    if [ -n "$server" ]; then
        kill -CONT "$server" $frozen # what is stopped does not heed the signal below
        # Again and again, because a server that has only just started may not listen to signals yet. Six seconds, because
        # PostgreSQL gives its own processes five.
        left=120
        while kill -"$end" "$server" && [ $left -gt 0 ]; do
            sleep 0.05
            left=$((left - 1))
        done
        kill -KILL "$server"
        wait "$server" # so that its number is free when this ends
    fi
    cd /
    [ -z "$dir" ] || rm -rf "$dir" || { sleep 1; rm -rf "$dir"; }
}
trap finish EXIT
trap exit HUP INT TERM

for place in "$@"; do
    dir=$(mktemp -d "$place/orderflow-XXXXXX") && break
done
echo "0 $? $dir"
while IFS= read -r line; do
    answer= request=$((request + 1))
    eval "$line"
    echo "$request $? $answer"
done
