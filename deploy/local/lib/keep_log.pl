# keep_log.pl LOG OCTETS: writes its input into the file LOG, and gives that another name when it is full, between
# two lines: LOG.1, .2 and .3. It ends with its input. What a full disk does not take is dropped, so that nobody
# waits for it.
use strict;
use warnings;

use constant { CHUNK => 65536, KEPT => 3 };

my ($log, $full) = @ARGV;
my ($file, $size);

sub open_log {
    $size = open($file, '>>', $log) ? -s $file : undef;
}

sub put {
    my ($octets) = @_;
    open_log() unless defined $size;
    while (defined $size && length $octets) {
        my $written = syswrite($file, $octets);
        return unless $written;
        $size += $written;
        substr($octets, 0, $written) = '';
    }
}

sub rename_full {
    close $file;
    rename "$log.$_", "$log." . ($_ + 1) for reverse 1 .. KEPT - 1;
    rename $log, "$log.1";
    open_log();
}

open_log();
while (1) {
    my $read = sysread(STDIN, my $octets, CHUNK);
    next if !defined $read && $!{EINTR};
    last unless $read;
    my $end = index($octets, "\n");
    if (defined $size && $size >= $full && $end >= 0) {
        put(substr($octets, 0, $end + 1, ''));
        rename_full();
    }
    put($octets);
}
