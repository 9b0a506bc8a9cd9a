use strict;
use warnings;
use LWP::UserAgent;
my $answer = LWP::UserAgent->new(timeout => 20)->get($ARGV[0], Authorization => "Bearer $ENV{CLIENTS_API_KEY}");
print $answer->decoded_content, "\n";
exit($answer->is_success ? 0 : 1);
