use strict;
use warnings;
use HTTP::Tiny;
my $client = HTTP::Tiny->new(timeout => 20, verify_SSL => 1);
my $answer = $client->get($ARGV[0], { headers => { authorization => "Bearer $ENV{CLIENTS_API_KEY}" } });
print $answer->{content}, "\n";
exit($answer->{success} ? 0 : 1);
